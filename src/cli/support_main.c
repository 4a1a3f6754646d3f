/*
 * Prints docs/support.md from the tables of the code: `make support`.
 *
 * What a type of file restores and where it stops stands beside the code that does it
 * (file/type.h); aspects and mappings are listed by the names that their messages use.
 */
#include <stdio.h>
#include <string.h>

#include "file/type.h"
#include "file/unsupported.h"
#include "mem/vma_dump.h"
#include "task/aspect.h"

static void print_types(void)
{
	printf("## Open files\n\n| kind | restored | refused, or with an option "
	       "|\n|---|---|---|\n");
	for (const struct file_type *const *t = file_types; *t; t++)
		printf("| %s | %s | %s |\n", (*t)->name, (*t)->restored ? (*t)->restored : "yes",
			(*t)->limits ? (*t)->limits : "");
}

static void print_unsupported(void)
{
	const char *text, *remedy, *before = "";
	printf("\n## Open files that are refused\n\n| kind | what to do |\n|---|---|\n");
	for (size_t i = 0; (text = unsupported_kind(i, &remedy)); before = text, i++)
		if (strcmp(text, before) != 0)
			printf("| %s | %s |\n", text, remedy ? remedy : "");
	for (size_t i = 0; (text = unsupported_family(i)); i++)
		printf("| %s socket | |\n", text);
	printf("| a POSIX message queue (mq_open) | have the program close it |\n"
	       "| a namespace | |\n| a device with state | |\n");
}

static void print_mappings(void)
{
	const char *text, *remedy;
	printf("\n## Memory\n\nPrivate and shared mappings of files, anonymous memory of all kinds "
	       "with its protections, locks,\nadvice, names, seals and guard pages, copy-on-write "
	       "sharing, "
	       "huge pages, System V segments, the vDSO.\nContexts of AIO with nothing in flight. "
	       "With an IPC namespace of its own also System V semaphores and message queues.\n"
	       "Refused is a mapping that\n\n"
	       "| | what to do |\n|---|---|\n");
	for (size_t i = 0; (text = vma_refused_kind(i, &remedy)); i++)
		printf("| %s | %s |\n", text, remedy ? remedy : "");
}

static void print_aspects(void)
{
	printf("\n## Tasks and threads\n\nProcess tree, sessions, groups, zombies, threads, "
	       "registers "
	       "of all sizes, interrupted calls, and:\n");
	for (const struct aspect *const *a = aspects; *a; a++)
		printf("%s%s", a == aspects ? "" : ", ", (*a)->name);
	printf(".\nRefused: 32-bit code, shadow stacks, syscall user dispatch, tagged pointers, landlock, "
	       "keyrings of\nprocesses and threads, segments of modify_ldt(), ports of ioperm(), core "
	       "scheduling;\nthreads with a descriptor table, directory, umask or namespace of their own, "
	       "and children to come in\nanother PID or time namespace; frozen cgroups.\nNot kept, with a warning: cgroups. What is "
	       "restored is in that of who restores it.\n");
}

int main(void)
{
	printf("# What is restored, and what is refused\n\nMade by `make support` from the tables "
	       "of "
	       "the code; do not edit. Whatever is refused is named, with its\nholder, before "
	       "anything is changed; `fermata check -t PID` lists it without a dump.\n\n");
	print_types();
	print_unsupported();
	print_mappings();
	print_aspects();
	return 0;
}
