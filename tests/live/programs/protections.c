/*
 * Protections of memory that has contents: none, read, write only, execute only, all; contents come
 * back even where the task itself could not read them.
 * PROVES: F067
 */
#include "check.h"
#include <setjmp.h>

static sigjmp_buf fault;

static void on_fault(int sig)
{
	siglongjmp(fault, sig);
}

static bool readable(volatile char *p)
{
	if (sigsetjmp(fault, 1))
		return false;
	(void)*p;
	return true;
}

static bool writable(volatile char *p)
{
	char old = *p;

	if (sigsetjmp(fault, 1))
		return false;
	*p = old;
	return true;
}

int main(int argc, char **argv)
{
	static const int prot[] = {PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC,
		PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC,
		PROT_NONE};
	char *mem[2][8];

	setup(argc, argv);
	signal(SIGSEGV, on_fault);
	for (int shared = 0; shared < 2; shared++)
		for (int i = 0; i < 8; i++) {
			char *p = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE,
				(shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);

			NEED(p != MAP_FAILED);
			if (i < 7) /* the last never had contents */
				fill(p + PAGE, 3 * PAGE, shared * 10 + i);
			NEED(!mprotect(p, 5 * PAGE, prot[i]));
			mem[shared][i] = p;
		}
	park();
	for (int shared = 0; shared < 2; shared++)
		for (int i = 0; i < 8; i++) {
			char *p = mem[shared][i];

			/* x86 has no write only; execute only may be real, with protection keys. */
			if (prot[i] == PROT_NONE || prot[i] & (PROT_READ | PROT_WRITE))
				SAME(readable(p), prot[i] != PROT_NONE);
			if (prot[i] & PROT_READ)
				SAME(writable(p), !!(prot[i] & PROT_WRITE));
			NEED(!mprotect(p, 5 * PAGE, PROT_READ | PROT_WRITE));
			for (size_t b = 0; b < PAGE; b++)
				NEED(!p[b] && !p[4 * PAGE + b]);
			if (i < 7)
				need_filled(p + PAGE, 3 * PAGE, shared * 10 + i);
			else
				NEED(!p[PAGE] && !p[3 * PAGE]);
		}
	ok();
}
