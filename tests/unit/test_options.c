/* The option table and everything that reads it: parser, configuration files, help, manual. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/help.h"
#include "cli/option_table.h"
#include "cli/parser.h"
#include "cli/verbs.h"
#include "rpc.pb-c.h"

struct fixture {
	struct arena arena;
	struct options opt;
	struct parser p;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	options_init(&f->opt);
	f->p = (struct parser){.arena = &f->arena, .opt = &f->opt};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	arena_release(&f->arena);
	free(f);
	return 0;
}

/* Words are separated by single blanks. */
static int parse(struct fixture *f, const char *line)
{
	const char *words[32];
	int n = 0;
	char *copy = arena_strdup(&f->arena, line);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		words[n++] = w;
	return parse_args(&f->p, n, words);
}

static int parse_with_verb(struct fixture *f, const char *line)
{
	const struct verb *verb;
	int err = parse(f, line);
	err = err ? err : find_verb(&f->p, &verb);
	return err ? err : check_options(&f->p);
}

static void options_come_before_and_after_the_action(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse_with_verb(f, "-t 12 dump -D /img --leave-running -W/work"), 0);
	assert_int_equal(f->opt.action, ACTION_DUMP);
	assert_int_equal(f->opt.tree, 12);
	assert_string_equal(f->opt.images_dir, "/img");
	assert_string_equal(f->opt.work_dir, "/work");
	assert_true(f->opt.leave_running);
	assert_int_equal(f->opt.words.n, 0);
}

static void double_dash_ends_options(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse_with_verb(f, "restore --exec-cmd -- ls -l --tree"), 0);
	assert_int_equal(f->opt.words.n, 3);
	assert_string_equal(f->opt.words.v[0], "ls");
	assert_string_equal(f->opt.words.v[2], "--tree");
}

static void letters_cluster(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse(f, "-jRt77 -dolog -so other"), 0);
	assert_true(f->opt.shell_job && f->opt.leave_running && f->opt.detach);
	assert_true(f->opt.leave_stopped);
	assert_int_equal(f->opt.tree, 77);
	assert_string_equal(f->opt.log_file, "other");
}

static void attached_and_separate_arguments(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse(f, "--tree=5 --images-dir x --log-file= -o -"), 0);
	assert_int_equal(f->opt.tree, 5);
	assert_string_equal(f->opt.images_dir, "x");
	assert_string_equal(f->opt.log_file, "-");
}

static void verbosity_forms(void **state)
{
	static const struct {
		const char *line;
		int level;
	} forms[] = {{"dump", 2}, {"-v", 3}, {"-vv", 4}, {"-v -v", 4}, {"-v4", 4}, {"-v0", 0},
		{"--verbosity", 3}, {"--verbosity=1", 1}, {"-v4 -v", 5}, {"-vv --verbosity=2", 2}};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		options_init(&f->opt);
		assert_int_equal(parse(f, forms[i].line), 0);
		assert_int_equal(f->opt.verbosity, forms[i].level);
	}
}

static void no_forms_and_last_one_wins(void **state)
{
	struct fixture *f = *state;
	assert_true(f->opt.ghost_fiemap);
	assert_int_equal(
		parse(f, "--no-ghost-fiemap --shell-job --no-shell-job --no-tls --tls"), 0);
	assert_false(f->opt.ghost_fiemap);
	assert_false(f->opt.shell_job);
	assert_true(f->opt.tls);
	assert_int_equal(parse(f, "--no-leave-running"), -EINVAL); /* it has no such form */
}

static void abbreviations(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse(f, "--leave-r --shell"), 0);
	assert_true(f->opt.leave_running && f->opt.shell_job);
	assert_int_equal(parse(f, "--restore"), -EINVAL);
	assert_string_equal(f->p.error, "option '--restore' is ambiguous");
}

static void sizes(void **state)
{
	static const struct {
		const char *line;
		uint64_t bytes;
	} forms[] = {{"--ghost-limit 7", 7}, {"--ghost-limit=64K", 64 << 10},
		{"--ghost-limit 3M", 3 << 20}, {"--ghost-limit 2G", 2ull << 30}};
	struct fixture *f = *state;
	assert_int_equal(f->opt.ghost_limit, 1 << 20);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		assert_int_equal(parse(f, forms[i].line), 0);
		assert_int_equal(f->opt.ghost_limit, forms[i].bytes);
	}
}

static void lists_grow(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse(f, "--external a[1]:x -M k:v -M auto -x7,8 --veth-pair in=out"), 0);
	static const char *const wanted[] = {
		"a[1]:x", "mnt[k]:v", "mnt[]", "unix[7]", "unix[8]", "veth[in]:out"};
	assert_int_equal(f->opt.external.n, 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(f->opt.external.v[i], wanted[i]);
	assert_true(f->opt.ext_unix_sk);
}

static void cpu_caps(void **state)
{
	static const struct {
		const char *line;
		uint32_t bits;
	} forms[] = {{"dump", 5}, {"--cpu-cap", 15}, {"--cpu-cap=none", 0}, {"--cpu-cap=cpu", 15},
		{"--cpu-cap=none,fpu", 9}, {"--cpu-cap=^ins", 9}, {"--cpu-cap=all,^fpu", 14}};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		options_init(&f->opt);
		assert_int_equal(parse(f, forms[i].line), 0);
		assert_int_equal(f->opt.cpu_cap, forms[i].bits);
	}
}

static void errors_name_option_and_value(void **state)
{
	static const struct {
		const char *line, *error;
		bool usage;
	} cases[] = {
		{"--bogus", "unrecognized option '--bogus'", true},
		{"-Z", "invalid option -- 'Z'", true},
		{"--tree", "option '--tree' requires an argument", true},
		{"-t", "option requires an argument -- 't'", true},
		{"--leave-running=yes", "option '--leave-running' doesn't allow an argument", true},
		{"-t 0", "option --tree: '0' is not a number from 1 to 2147483647", false},
		{"-t 12x", "option --tree: '12x' is not a number from 1 to 2147483647", false},
		{"-t 99999999999999999999",
			"option --tree: '99999999999999999999' is not a number from 1 to "
			"2147483647",
			false},
		{"--port 65536", "option --port: '65536' is not a number from 1 to 65535", false},
		{"--ghost-limit 1T",
			"option --ghost-limit: '1T' is not a size like 4096, 64K or 1M", false},
		{"--file-validation md5",
			"option --file-validation: 'md5' is none of: buildid, filesize", false},
		{"--cpu-cap=mmx", "option --cpu-cap: unknown capability 'mmx'", true},
		{"-vx", "option --verbosity: 'x' is neither a level nor more v's", false},
		{"", "command is required", true},
		{"fly", "unknown command: fly", true},
		{"dump extra -t 1", "excessive parameter(s) for command dump: extra", true},
		{"dump extra", "excessive parameter(s) for command dump: extra", true},
		{"dump 1234",
			"excessive parameter(s) for command dump: 1234; a PID is given by -t 1234",
			true},
		{"check 7", "excessive parameter(s) for command check: 7; a PID is given by -t 7",
			true},
		{"restore 7", "excessive parameter(s) for command restore: 7", true},
		{"dump", "no process tree given; use --tree PID (-t)", false},
		{"restore -S", "option --restore-sibling needs --restore-detached (-d)", false},
		{"restore --exec-cmd", "option --exec-cmd requires a command", false},
		{"dump -t 1 --freeze-cgroup x", "option --freeze-cgroup: not built yet", false},
		{"cpuinfo", "cpuinfo requires an action: dump or check", true},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		options_init(&f->opt);
		f->p = (struct parser){.arena = &f->arena, .opt = &f->opt};
		assert_int_equal(parse_with_verb(f, cases[i].line), -EINVAL);
		assert_string_equal(f->p.error, cases[i].error);
		assert_int_equal(f->p.usage, cases[i].usage);
	}
}

static void harmless_options_are_accepted(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse_with_verb(f, "dump -t 1 --tcp-established --no-tls --no-track-mem "
					    "--manage-cgroups=ignore --network-lock nftables"),
		0);
	assert_int_equal(f->opt.network_lock, NETLOCK_NFTABLES);
}

/* Writes the text to a file and reads it as --config, with argv after it. */
static int parse_config(struct fixture *f, const char *text, const char *last)
{
	char path[] = "/tmp/fermata-options.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	const char *words[] = {"check", "--config", path, last};
	int err = parse_command_line(&f->p, last ? 4 : 3, words);
	unlink(path);
	return err;
}

static void config_file_and_precedence(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse_config(f,
				 "# comment\n\n  tcp-established\ntree 7\nwork-dir \"/a \\\"b\\\" "
				 "c\"  # why\n"
				 "ghost-limit\t2M\nverbosity=4\nlog-file "
				 "\"\"\nno-ghost-fiemap\nlibdir first",
				 "--libdir=second"),
		0);
	assert_true(f->opt.tcp_established);
	assert_int_equal(f->opt.tree, 7);
	assert_string_equal(f->opt.work_dir, "/a \"b\" c");
	assert_int_equal(f->opt.ghost_limit, 2 << 20);
	assert_int_equal(f->opt.verbosity, 4);
	assert_string_equal(f->opt.log_file, "");
	assert_false(f->opt.ghost_fiemap);
	assert_string_equal(f->opt.libdir, "second");
	assert_int_equal(f->opt.words.n, 1); /* stray words of files are no actions */
}

static void config_separate_verbosity_only_raises(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse_config(f, "verbosity 4\n", NULL), 0);
	assert_int_equal(f->opt.verbosity, 3);
	assert_int_equal(f->opt.words.n, 1);
}

static void config_errors(void **state)
{
	static const char *const bad[] = {"work-dir \"open\n", "tree 7 8\n", "no-such-option\n"};
	struct fixture *f = *state;
	for (size_t i = 0; i < 3; i++) {
		f->p.error = NULL;
		assert_int_equal(parse_config(f, bad[i], NULL), -EINVAL);
		assert_non_null(f->p.error);
	}
}

static void missing_config_is_no_error(void **state)
{
	struct fixture *f = *state;
	const char *words[] = {"check", "--config=/nonexistent/file"};
	assert_int_equal(parse_command_line(&f->p, 2, words), 0);
}

static void help_counts_anywhere(void **state)
{
	struct fixture *f = *state;
	const char *words[] = {"dump", "--bogus", "--", "-h"};
	assert_int_equal(parse_command_line(&f->p, 4, words), 0);
	assert_true(f->opt.help);
}

static char *text_of(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	print(out);
	fclose(out);
	return text;
}

static void print_help_here(FILE *out)
{
	print_help(out, "fermata");
}

/* Every option is in the manual, and in the help unless deprecated; names and letters are unique.
 */
static void table_help_and_manual_agree(void **state)
{
	(void)state;
	char *help = text_of(print_help_here), *manual = text_of(print_manual);
	for (size_t i = 0; i < n_options; i++) {
		const struct option_def *def = &option_table[i];
		char in_help[80], in_manual[80];
		snprintf(in_help, sizeof(in_help), "--%s%s",
			def->flags & OPT_NEGATABLE ? "[no-]" : "", def->name);
		snprintf(in_manual, sizeof(in_manual), "*--%s*", def->name);
		assert_non_null(strstr(manual, in_manual));
		assert_int_equal(strstr(help, in_help) != NULL, !(def->flags & OPT_DEPRECATED));
		assert_true(!(def->flags & OPT_NEGATABLE) || def->kind == OPT_BOOL);
		assert_int_equal(option_takes_arg(def), def->arg != NULL);
		assert_int_equal(def->kind == OPT_CUSTOM, def->set != NULL);
		assert_int_equal(def->kind == OPT_CHOICE, def->choices != NULL);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(def->name, option_table[j].name);
			assert_true(!def->letter || def->letter != option_table[j].letter);
		}
	}
	for (size_t i = 0; i < n_verbs; i++)
		assert_non_null(strstr(help, verb_table[i].synopsis));
	free(help);
	free(manual);
}

/* What a request says by a message or an enumeration, or for the worker alone: request_options.c.
 */
static const char *const special_fields[] = {"images_dir_fd", "images_dir", "pid", "log_level",
	"log_file", "ps", "notify_scripts", "work_dir_fd", "veths", "cpu_cap", "exec_cmd",
	"ext_mnt", "manage_cgroups", "manage_cgroups_mode", "cg_root", "inherit_fd", "auto_ext_mnt",
	"ext_sharing", "ext_masters", "unix_sk_ino", "empty_ns", "join_ns", "pre_dump_mode",
	"network_lock", "pidfd_store_sk", "orphan_pts_master", "config_file", "log_to_stderr"};

static bool is_special(const char *field)
{
	for (size_t i = 0; i < sizeof(special_fields) / sizeof(*special_fields); i++)
		if (!strcmp(special_fields[i], field))
			return true;
	return false;
}

/* Every field of a request is some option's, and every option names a field that exists. */
static void table_and_requests_agree(void **state)
{
	(void)state;
	const ProtobufCMessageDescriptor *type = &criu_opts__descriptor;
	for (size_t i = 0; i < n_options; i++)
		if (option_table[i].rpc)
			assert_non_null(protobuf_c_message_descriptor_get_field_by_name(
				type, option_table[i].rpc));
	for (unsigned i = 0; i < type->n_fields; i++) {
		unsigned users = is_special(type->fields[i].name);
		for (size_t j = 0; j < n_options; j++)
			users += option_table[j].rpc &&
				 !strcmp(option_table[j].rpc, type->fields[i].name);
		if (users != 1)
			fail_msg("%s is known in %u places", type->fields[i].name, users);
	}
}

static void table_and_completion_agree(void **state)
{
	(void)state;
	char *script = text_of(print_completion);
	for (size_t i = 0; i < n_options; i++) {
		char word[80];
		snprintf(word, sizeof(word), " --%s", option_table[i].name);
		assert_true((strstr(script, word) != NULL) !=
			    !!(option_table[i].flags & OPT_DEPRECATED));
	}
	free(script);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(options_come_before_and_after_the_action),
		CASE(double_dash_ends_options),
		CASE(letters_cluster),
		CASE(attached_and_separate_arguments),
		CASE(verbosity_forms),
		CASE(no_forms_and_last_one_wins),
		CASE(abbreviations),
		CASE(sizes),
		CASE(lists_grow),
		CASE(cpu_caps),
		CASE(errors_name_option_and_value),
		CASE(harmless_options_are_accepted),
		CASE(config_file_and_precedence),
		CASE(config_separate_verbosity_only_raises),
		CASE(config_errors),
		CASE(missing_config_is_no_error),
		CASE(help_counts_anywhere),
		CASE(table_help_and_manual_agree),
		CASE(table_and_requests_agree),
		CASE(table_and_completion_agree),
	};
	unsetenv("CRIU_CONFIG_FILE");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
