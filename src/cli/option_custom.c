/* Options whose arguments have a syntax of their own, and the older spellings of --external. */
#include "cli/option_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/parser.h"

/* -v adds one, -vvv one per letter, -v4 and --verbosity=4 set (spec/cli.md 4.6). */
int set_verbosity(struct parser *p, const struct option_def *def, const char *arg)
{
	int64_t level;
	if (!arg) {
		p->opt->verbosity++;
		return 0;
	}
	if (arg[strspn(arg, "v")] == '\0') {
		p->opt->verbosity += 1 + (int32_t)strlen(arg);
		return 0;
	}
	if (parse_number(arg, 0, 1000, &level))
		return parse_error(p, false, "option --%s: '%s' is neither a level nor more v's",
			def->name, arg);
	p->opt->verbosity = (int32_t)level;
	return 0;
}

static int cpu_cap_bits(const char *word, size_t len)
{
	static const struct {
		const char *name;
		int bits;
	} caps[] = {
		{"fpu", CPU_CAP_FPU},
		{"cpu", CPU_CAP_CPU},
		{"ins", CPU_CAP_INS},
		{"all", CPU_CAP_FPU | CPU_CAP_CPU | CPU_CAP_INS},
		{"none", 0},
	};
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (strlen(caps[i].name) == len && !strncmp(caps[i].name, word, len))
			return caps[i].bits;
	return -1;
}

/* "none" sets nothing to zero by adding no bits: it clears what is there (spec/cli.md 4.10). */
int set_cpu_cap(struct parser *p, const struct option_def *def, const char *arg)
{
	uint32_t *cap = &p->opt->cpu_cap;
	if (!arg) {
		*cap = CPU_CAP_FPU | CPU_CAP_CPU | CPU_CAP_INS | CPU_CAP_IMAGE;
		return 0;
	}
	for (const char *word = arg; word;
		word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
		const char *name = word + (*word == '^');
		size_t len = strcspn(name, ",");
		int bits = cpu_cap_bits(name, len);
		if (bits < 0)
			return parse_error(p, true, "option --%s: unknown capability '%.*s'",
				def->name, (int)len, name);
		if (*word == '^')
			*cap &= ~(uint32_t)bits;
		else
			*cap = bits ? *cap | (uint32_t)bits : 0;
	}
	if (*cap)
		*cap |= CPU_CAP_IMAGE;
	return 0;
}

static void add_external(struct parser *p, const char *key)
{
	*vec_push(p->arena, &p->opt->external) = key;
}

int set_ext_unix_sk(struct parser *p, const struct option_def *def, const char *arg)
{
	p->opt->ext_unix_sk = true;
	for (const char *word = arg; word;
		word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
		int64_t ino;
		const char *text = arena_printf(p->arena, "%.*s", (int)strcspn(word, ","), word);
		if (parse_number(text, 1, UINT32_MAX, &ino))
			return parse_error(p, false, "option --%s: '%s' is not an inode number",
				def->name, text);
		add_external(p, arena_printf(p->arena, "unix[%s]", text));
	}
	return 0;
}

int set_veth_pair(struct parser *p, const struct option_def *def, const char *arg)
{
	const char *eq = strchr(arg, '=');
	if (!eq)
		return parse_error(p, false, "option --%s: '%s' is not IN=OUT", def->name, arg);
	add_external(p, arena_printf(p->arena, "veth[%.*s]:%s", (int)(eq - arg), arg, eq + 1));
	return 0;
}

int set_ext_mount_map(struct parser *p, const struct option_def *def, const char *arg)
{
	const char *colon = strchr(arg, ':');
	if (!strcmp(arg, "auto"))
		add_external(p, "mnt[]");
	else if (colon)
		add_external(p,
			arena_printf(p->arena, "mnt[%.*s]:%s", (int)(colon - arg), arg, colon + 1));
	else
		return parse_error(p, false, "option --%s: '%s' is neither KEY:VALUE nor auto",
			def->name, arg);
	return 0;
}

/* "fd[N]:KEY" or "debug[N]:TEXT"; N must be open here (spec/cli.md 8). */
int set_inherit_fd(struct parser *p, const struct option_def *def, const char *arg)
{
	bool debug = !strncmp(arg, "debug[", 6);
	const char *number = debug ? arg + 6 : arg + 3;
	const char *end = strstr(arg, "]:");
	int64_t fd;
	struct stat st;
	if ((!debug && strncmp(arg, "fd[", 3)) || !end || end < number)
		return parse_error(
			p, false, "option --%s: '%s' is not fd[N]:RESOURCE", def->name, arg);
	const char *text = arena_printf(p->arena, "%.*s", (int)(end - number), number);
	if (parse_number(text, 0, INT32_MAX, &fd))
		return parse_error(
			p, false, "option --%s: '%s' is not a descriptor", def->name, text);
	if (fstat((int)fd, &st))
		return parse_error(p, false, "option --%s: descriptor %s: %s", def->name, text,
			strerror(errno));
	if (!debug)
		*vec_push(p->arena, &p->opt->inherit_fd) = arg;
	else if (write((int)fd, end + 2, strlen(end + 2)) < 0)
		return parse_error(p, false, "option --%s: write to descriptor %s: %s", def->name,
			text, strerror(errno));
	return 0;
}

static bool is_joinable(const char *arg, size_t len)
{
	static const char *const kinds[] = {"net", "uts", "ipc", "time", "user", "mnt"};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i]) == len && !strncmp(kinds[i], arg, len))
			return true;
	return false;
}

/* NS:PID or NS:FILE, with ",OPTS"; what it names must exist. */
int set_join_ns(struct parser *p, const struct option_def *def, const char *arg)
{
	size_t len = strcspn(arg, ":");
	if (!arg[len] || !is_joinable(arg, len))
		return parse_error(p, false,
			"option --%s: '%s' is not NS:PID or NS:FILE with NS one of net, uts, ipc, "
			"time, "
			"user, mnt",
			def->name, arg);
	const char *target =
		arena_printf(p->arena, "%.*s", (int)strcspn(arg + len + 1, ","), arg + len + 1);
	const char *path = target;
	int64_t pid;
	if (!parse_number(target, 1, 65535, &pid))
		path = arena_printf(p->arena, "/proc/%s/ns/%.*s", target, (int)len, arg);
	if (access(path, F_OK))
		return parse_error(
			p, false, "option --%s: %s: %s", def->name, path, strerror(errno));
	*vec_push(p->arena, &p->opt->join_ns) = arg;
	return 0;
}

int set_empty_ns(struct parser *p, const struct option_def *def, const char *arg)
{
	if (strcmp(arg, "net"))
		return parse_error(
			p, false, "option --%s: '%s': only net can be left empty", def->name, arg);
	*vec_push(p->arena, &p->opt->empty_ns) = arg;
	return 0;
}

int set_network_lock(struct parser *p, const struct option_def *def, const char *arg)
{
	static const struct {
		const char *name;
		enum network_lock lock;
	} methods[] = {
		{"iptables", NETLOCK_IPTABLES},
		{"nftables", NETLOCK_NFTABLES},
		{"skip", NETLOCK_SKIP},
		{"none", NETLOCK_SKIP},
	};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (!strcmp(arg, methods[i].name)) {
			p->opt->network_lock = methods[i].lock;
			return 0;
		}
	}
	return parse_error(
		p, false, "option --%s: '%s' is none of: iptables, nftables, skip", def->name, arg);
}

/* At once, so that later options see it closed. */
int set_close(struct parser *p, const struct option_def *def, const char *arg)
{
	int64_t fd;
	if (parse_number(arg, 0, INT32_MAX, &fd))
		return parse_error(
			p, false, "option --%s: '%s' is not a descriptor", def->name, arg);
	close((int)fd);
	return 0;
}

int set_removed(struct parser *p, const struct option_def *def, const char *arg)
{
	(void)arg;
	return parse_error(p, false, "option --%s was removed", def->name);
}
