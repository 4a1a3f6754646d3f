/*
 * What a program was started with: arguments (also rewritten ones), environment, auxiliary vector,
 * executable, comm; and the layout of its memory: break, stack, code, data. The break still grows.
 * PROVES: F017 F018
 */
#include "check.h"
#include <elf.h>
#include <sys/auxv.h>

struct view {
	char cmdline[1024], environ[1024], comm[64], exe[512], stat[1024];
	uint64_t auxv[44];
	size_t cmdline_n, environ_n;
};

static void look(struct view *v)
{
	char auxv[4096];
	ssize_t n = readlink("/proc/self/exe", v->exe, sizeof(v->exe) - 1);

	NEED(n > 0);
	v->exe[n] = 0;
	v->cmdline_n = slurp("/proc/self/cmdline", v->cmdline, sizeof(v->cmdline));
	v->environ_n = slurp("/proc/self/environ", v->environ, sizeof(v->environ));
	slurp("/proc/self/comm", v->comm, sizeof(v->comm));
	slurp("/proc/self/stat", v->stat, sizeof(v->stat));
	NEED(slurp("/proc/self/auxv", auxv, sizeof(auxv)) > sizeof(v->auxv) - 8 * 16);
	memcpy(v->auxv, auxv, sizeof(v->auxv));
}

static unsigned long stat_field(const struct view *v, int number)
{
	const char *p = strrchr(v->stat, ')') + 1;

	for (int i = 2; i < number - 1; i++)
		p = strchr(p + 1, ' ');
	return strtoul(p, NULL, 10);
}

int main(int argc, char **argv)
{
	static const int layout[] = {26, 27, 28, 45, 46, 47, 48, 49, 50, 51};
	struct view *before = calloc(1, sizeof(*before)), *after = calloc(1, sizeof(*after));
	char *again[] = {
		argv[0], argv[1], (char *)"two words", (char *)"", (char *)"\xff\n last", NULL};
	char *env[] = {(char *)"PLAIN=1", (char *)"EMPTY=", (char *)"NO EQUALS", NULL};

	setup(argc, argv);
	if (argc == 2)
		NEED(!execve("/proc/self/exe", again, env));
	SAME(argc, 5);
	memset(argv[2], 'X', strlen(argv[2])); /* visible in /proc, as daemons do */
	prctl(PR_SET_NAME, "odd) name (");
	char *end = sbrk(0);
	NEED(sbrk(3 * PAGE) == end);
	fill(end, 3 * PAGE, 12);
	look(before);
	park();
	look(after);
	NEED(before->cmdline_n == after->cmdline_n &&
		!memcmp(before->cmdline, after->cmdline, after->cmdline_n));
	NEED(strstr(
		after->cmdline + strlen(after->cmdline) + 1 + strlen(argv[1]) + 1, "XXXXXXXXX"));
	NEED(before->environ_n == after->environ_n &&
		!memcmp(before->environ, after->environ, after->environ_n));
	NEED(!strcmp(after->environ, "PLAIN=1"));
	NEED(!strcmp(before->comm, after->comm) && !strcmp(after->comm, "odd) name (\n"));
	NEED(!strcmp(before->exe, after->exe));
	NEED(!memcmp(before->auxv, after->auxv, sizeof(after->auxv)));
	for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++)
		SAME(stat_field(after, layout[i]), stat_field(before, layout[i]));
	NEED(stat_field(after, 48) && stat_field(after, 48) <= (unsigned long)argv[0]);
	/* The heap ends where it ended and can be moved, both ways. */
	NEED(sbrk(0) == end + 3 * PAGE);
	need_filled(end, 3 * PAGE, 12);
	NEED(sbrk(64 * PAGE) == end + 3 * PAGE);
	fill(end + 3 * PAGE, 64 * PAGE, 13);
	need_filled(end, 3 * PAGE, 12);
	need_filled(end + 3 * PAGE, 64 * PAGE, 13);
	NEED(sbrk(-67 * (long)PAGE) == end + 67 * PAGE);
	ok();
}
