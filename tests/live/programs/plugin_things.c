/*
 * plugin_things DIR KIND: something that only a plugin can restore, for test_plugins.py.
 * VARIANTS: scenario
 */
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

#define KEPT        ((void *)0x10000000)
#define SUBSTITUTED ((void *)0x20000000)
enum { LATENCY_US = 4321, RING = 2 * PAGE };

static int new_event(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.disabled = 1};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd < 0)
		skip("no perf events here");
	return fd;
}

static bool is_event(int fd)
{
	uint64_t id;
	return ioctl(fd, PERF_EVENT_IOC_ID, &id) == 0;
}

/* Speaks with whoever listens outside; what it says first tells who connected. */
static void with_peer(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	char answer[16] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(name.sun_path, in_dir("peer"));
	NEED(!connect(fd, (struct sockaddr *)&name, sizeof(name)) && write(fd, "first", 5) == 5);
	park();
	NEED(write(fd, " word", 5) == 5);
	NEED(read(fd, answer, sizeof(answer)) == 10 && !memcmp(answer, "again word", 10));
	NEED(!(fcntl(fd, F_GETFD) & FD_CLOEXEC));
}

static void with_device(bool has_state)
{
	int value = LATENCY_US, fd = open("/dev/cpu_dma_latency", O_RDWR | O_CLOEXEC), same;

	if (fd < 0)
		skip("no /dev/cpu_dma_latency here");
	NEED(write(fd, &value, sizeof(value)) == sizeof(value));
	same = dup(fd);
	pid_t child = fork();
	if (!child) {
		await("release");
		_exit(is_event(fd) || fcntl(fd, F_GETFL) < 0);
	}
	park();
	NEED(pread(fd, &value, sizeof(value), 0) == sizeof(value));
	if (has_state)
		SAME(value, LATENCY_US);
	NEED(fcntl(fd, F_GETFD) & FD_CLOEXEC && !(fcntl(same, F_GETFD) & FD_CLOEXEC));
	NEED(syscall(SYS_kcmp, getpid(), getpid(), 0, fd, same) == 0);
	NEED(waitpid(child, &value, 0) == child && value == 0);
}

static void *map(void *at, int fd)
{
	void *p = mmap(at, RING, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);

	NEED(p == at);
	return p;
}

static void with_mappings(void)
{
	int fd = new_event(), other = new_event(), third = new_event();
	const struct perf_event_mmap_page *ring = map(KEPT, fd);

	map(SUBSTITUTED, other);
	close(other);
	NEED(ring->data_size == PAGE);
	park();
	NEED(is_event(fd) && is_event(third));
	NEED(ring->data_size == PAGE);
	NEED(!strcmp(SUBSTITUTED, "right"));
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	NEED(argc == 3);
	if (!strcmp(argv[2], "unix"))
		with_peer();
	else if (!strcmp(argv[2], "mappings"))
		with_mappings();
	else if (!strcmp(argv[2], "nothing"))
		park();
	else
		with_device(!strcmp(argv[2], "device"));
	ok();
}
