/*
 * odd_fd DIR KIND: holds a descriptor (number 100) or mapping that cannot be dumped, and works on.
 * VARIANTS: scenario
 */
#include "check.h"
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <sys/socket.h>

static int by_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
}

static int by_perf(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static int by_io_uring(void)
{
	struct io_uring_params params = {0};

	return syscall(SYS_io_uring_setup, 4, &params);
}

static int by_secret(void)
{
	return syscall(447 /* memfd_secret */, 0);
}

static int by_fsopen(void)
{
	return syscall(430 /* fsopen */, "tmpfs", 0);
}

static int by_seccomp_notify(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = {1, &allow};

	return syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

static int by_block_device(void)
{
	return open("/dev/loop0", O_RDONLY);
}

static int by_fuse(void)
{
	return open("/dev/fuse", O_RDWR);
}

static int by_vsock(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int by_xdp(void)
{
	return socket(AF_XDP, SOCK_RAW, 0);
}

static int by_crypto(void)
{
	return socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static int by_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static int by_landlock(void)
{
	uint64_t handled[] = {1 /* LANDLOCK_ACCESS_FS_EXECUTE */};

	return syscall(444 /* landlock_create_ruleset */, handled, sizeof(handled), 0);
}

static int by_mqueue(void)
{
	return mq_open("/odd_fd", O_RDWR | O_CREAT, 0600, NULL);
}

static int by_bpf_program(void)
{
	static const uint64_t code[] = {0xb7 /* r0 = 0 */, 0x95 /* exit */};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insn_cnt = 2,
		.insns = (uintptr_t)code,
		.license = (uintptr_t) "GPL"};

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* The mapping only: its descriptor is closed. */
static int by_mapping(void)
{
	int fd = by_io_uring();

	if (fd < 0)
		return fd;
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	NEED(p != MAP_FAILED);
	close(fd);
	return open("/dev/null", O_RDONLY);
}

static const struct {
	const char *name;
	int (*make)(void);
} kind[] = {{"userfaultfd", by_userfaultfd}, {"perf", by_perf}, {"io_uring", by_io_uring},
	{"secret", by_secret}, {"fsopen", by_fsopen}, {"seccomp-notify", by_seccomp_notify},
	{"block-device", by_block_device}, {"fuse", by_fuse}, {"mapping", by_mapping},
	{"vsock", by_vsock}, {"xdp", by_xdp}, {"crypto", by_crypto}, {"packet", by_packet},
	{"landlock", by_landlock}, {"mqueue", by_mqueue}, {"bpf-program", by_bpf_program}};

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		if (argc < 3 || strcmp(argv[2], kind[i].name))
			continue;
		int fd = kind[i].make();

		if (fd < 0)
			skip("this kernel does not provide it");
		NEED(dup2(fd, 100) == 100);
		close(fd);
	}
	park();
	NEED(argc < 3 || fcntl(100, F_GETFD) >= 0);
	ok();
}
