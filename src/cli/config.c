/*
 * Configuration files: a text front-end to the same option table (spec/cli.md 5.5).  One option
 * per line; a missing file is no error.  parse_command_line() puts all sources in order.
 */
#include "cli/parser.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

enum { MAX_CONFIG_BYTES = 1 << 20 };

/* Returns the text, NUL-terminated, or NULL when there is no readable file. */
static char *read_config(struct parser *p, const char *path)
{
	struct stat st;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > MAX_CONFIG_BYTES)
		return NULL;
	char *text = arena_alloc(p->arena, (size_t)st.st_size + 1);
	ssize_t len = pread(fd, text, (size_t)st.st_size, 0);
	if (len < 0)
		return NULL;
	text[len] = '\0';
	return text;
}

static int bad_line(struct parser *p, const char *path, int line_no, const char *why)
{
	return parse_error(p, false, "Unsupported configuration file format: %s line %d: %s", path,
		line_no, why);
}

/*
 * Takes the value at text: quoted, or up to a blank.  *ret_value is NULL when there is none.
 * Returns what follows it, or NULL when a quote is missing.
 */
static char *take_value(char *text, char **ret_value)
{
	text += strspn(text, " \t");
	*ret_value = NULL;
	if (*text != '"') {
		size_t len = strcspn(text, " \t");
		if (len)
			*ret_value = text;
		text += len;
		if (*text)
			*text++ = '\0';
		return text;
	}
	char *out = ++text;
	*ret_value = out;
	while (*text && *text != '"') {
		if (text[0] == '\\' && text[1] == '"')
			text++;
		*out++ = *text++;
	}
	if (!*text)
		return NULL;
	*out = '\0';
	return text + 1;
}

/* One line, without its newline, becomes one or two words. */
static int parse_line(struct parser *p, char *line, const char *path, int line_no)
{
	char *comment = strchr(line, '#'); /* inside quotes too: spec */
	if (comment)
		*comment = '\0';
	line += strspn(line, " \t");
	if (!*line)
		return 0;

	char *value = NULL, *blank = strchr(line, ' ');
	if (!blank)
		blank = strchr(line, '\t');
	if (blank) {
		*blank = '\0';
		char *rest = take_value(blank + 1, &value);
		if (!rest)
			return bad_line(p, path, line_no, "unbalanced quote");
		if (rest[strspn(rest, " \t")])
			return bad_line(p, path, line_no, "more than one value");
	}
	const char *words[] = {arena_printf(p->arena, "--%s", line), value};
	return parse_args(p, value ? 2 : 1, words);
}

int parse_config_text(struct parser *p, char *text, const char *path)
{
	int line_no = 0, err = 0;
	p->from_config = true;
	while (*text && !err) {
		char *line = text;
		text += strcspn(text, "\n");
		if (*text)
			*text++ = '\0';
		err = parse_line(p, line, path, ++line_no);
	}
	p->from_config = false;
	return err;
}

/* What must be known before the files are read, wherever it stands in argv. */
static void scan_raw(int argc, const char *const *argv, const char **ret_config, bool *ret_none)
{
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--no-default-config"))
			*ret_none = true;
		else if (!strcmp(argv[i], "--config") && i + 1 < argc)
			*ret_config = argv[i + 1];
		else if (!strncmp(argv[i], "--config=", 9))
			*ret_config = argv[i] + 9;
	}
}

int parse_config_file(struct parser *p, const char *path)
{
	char *text = read_config(p, path);
	return text ? parse_config_text(p, text, path) : 0;
}

static int parse_config_files(struct parser *p, int argc, const char *const *argv)
{
	const char *given = NULL, *home = getenv("HOME");
	bool no_default = false;
	scan_raw(argc, argv, &given, &no_default);

	const char *files[] = {
		given || no_default ? NULL : "/etc/criu/default.conf",
		given || no_default || !home
			? NULL
			: arena_printf(p->arena, "%s/.criu/default.conf", home),
		getenv("CRIU_CONFIG_FILE"),
		given,
	};
	int err = 0;
	for (size_t i = 0; !err && i < sizeof(files) / sizeof(files[0]); i++)
		err = files[i] ? parse_config_file(p, files[i]) : 0;
	return err;
}

/* -h counts anywhere, even after "--" or where another option would take it as its argument. */
static bool wants_help(int argc, const char *const *argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help"))
			return true;
	return false;
}

int parse_command_line(struct parser *p, int argc, const char *const *argv)
{
	if (wants_help(argc, argv)) {
		p->opt->help = true;
		return 0;
	}
	int err = parse_config_files(p, argc, argv);
	return err ? err : parse_args(p, argc, argv);
}
