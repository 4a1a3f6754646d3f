/*
 * AIO contexts that cannot be dumped: "child": a child of fork() still maps the ring; "busy": requests
 * go on completing (polls of the pipes 100 and up, which the test writes to).
 * VARIANTS: scenario
 */
#include "check.h"

#include <linux/aio_abi.h>
#include <poll.h>

int main(int argc, char **argv)
{
	aio_context_t ctx = 0;
	long n = 0;

	setup(argc, argv);
	NEED(!syscall(SYS_io_setup, 1000, &ctx));
	if (!strcmp(argv[2], "child") && !fork())
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int fd = 100; !strcmp(argv[2], "busy") && fcntl(fd, F_GETFD) >= 0; fd++, n++) {
		struct iocb cb = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = fd, .aio_buf = POLLIN};
		struct iocb *p = &cb;

		NEED(syscall(SYS_io_submit, ctx, 1L, &p) == 1);
	}
	ready();
	while (!released())
		nap_ms(5);
	ok();
}
