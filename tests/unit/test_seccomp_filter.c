/* What filters say of a call whatever its arguments; the answers for a number are the kernel's, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/seccomp_filter.h"

#define LOAD(member)    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define RETURN(action)  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##action)
#define IF(op, k, t, f) BPF_JUMP(BPF_JMP | BPF_##op | BPF_K, (k), (t), (f))
#define N(array)        (sizeof(array) / sizeof((array)[0]))

static const struct sock_filter no_getppid[] = {
	LOAD(arch), IF(JEQ, AUDIT_ARCH_X86_64, 1, 0), RETURN(KILL_PROCESS),
	LOAD(nr), IF(JGE, 0x40000000, 0, 1), RETURN(KILL_PROCESS),
	IF(JEQ, SYS_getppid, 0, 1), RETURN(ERRNO), RETURN(ALLOW),
};

/* getppid() by way of the accumulator, the index, memory and arithmetic; anything else is logged. */
static const struct sock_filter only_getppid[] = {
	LOAD(nr),
	BPF_STMT(BPF_ST, 3),
	BPF_STMT(BPF_LD | BPF_IMM, SYS_getppid * 2),
	BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 1),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_STMT(BPF_LD | BPF_MEM, 3),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 2),
	BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_A, 0),
	RETURN(LOG),
};

static const struct sock_filter by_argument[] = {
	LOAD(nr), IF(JEQ, SYS_getppid, 0, 3),
	LOAD(args[0]), IF(JEQ, 7, 0, 1), RETURN(ERRNO), RETURN(ALLOW),
};

static const struct sock_filter by_address[] = {
	LOAD(instruction_pointer), IF(JEQ, 7, 0, 1), RETURN(ERRNO), RETURN(ALLOW),
};

static void test_by_number(void **state)
{
	(void)state;
	assert_false(seccomp_filter_passes(no_getppid, N(no_getppid), SYS_getppid));
	assert_true(seccomp_filter_passes(no_getppid, N(no_getppid), SYS_munmap));
	assert_true(seccomp_filter_passes(only_getppid, N(only_getppid), SYS_getppid));
	assert_false(seccomp_filter_passes(only_getppid, N(only_getppid), SYS_munmap));
}

static void test_by_more(void **state)
{
	(void)state;
	assert_false(seccomp_filter_passes(by_argument, N(by_argument), SYS_getppid));
	assert_true(seccomp_filter_passes(by_argument, N(by_argument), SYS_munmap));
	assert_false(seccomp_filter_passes(by_address, N(by_address), SYS_munmap));
	assert_false(seccomp_filter_passes(NULL, 0, SYS_munmap));
}

/* The kernel takes these programs, and its answer is ours. */
static void test_kernel_agrees(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (!pid) {
		struct sock_fprog p = {N(no_getppid), (struct sock_filter *)no_getppid};
		struct sock_fprog q = {N(only_getppid), (struct sock_filter *)only_getppid};
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &q) || getppid() <= 0 ||
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p))
			_exit(1);
		_exit(syscall(SYS_getppid) == 0 ? 0 : 2); /* SECCOMP_RET_ERRNO with 0 */
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_number),
		cmocka_unit_test(test_by_more),
		cmocka_unit_test(test_kernel_agrees),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
