/*
 * Workloads for timing.  usage: load KIND N READYFILE
 *
 *   small            one idle process            tree N     N processes
 *   threads N        N threads                   heap N     N MiB, every page
 *   frag N           N MiB in every second page  fds N      N open files
 *   tcp N            N ends of TCP connections
 *   vmas N           N pairs of mappings         beat N     N MiB and a heartbeat
 *   epoll N          an epoll set that watches N event counters
 *
 * Becomes a session leader, sets itself up, creates READYFILE and idles.  A beat writes its
 * longest pause in ns to the first word of READYFILE.gap, and the number of beats to the second.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

static const char *ready_path;

static void die(const char *what)
{
	perror(what);
	exit(3);
}

static void idle(void)
{
	for (;;)
		pause();
}

static void *idle_thread(void *arg)
{
	idle();
	return arg;
}

static void say_ready(void)
{
	int fd = open(ready_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		die(ready_path);
	close(fd);
}

/* Pages that no compression or page merging makes smaller, every `stride` bytes of len. */
static char *filled_memory(size_t len, size_t stride)
{
	uint64_t x = 0x9e3779b97f4a7c15u;
	char *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		die("mmap");
	for (size_t page = 0; page < len; page += stride) {
		for (size_t i = 0; i < PAGE; i += sizeof(x)) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			memcpy(m + page + i, &x, sizeof(x));
		}
	}
	return m;
}

static void setup_small(size_t n)
{
	(void)n;
}

static void setup_tree(size_t n)
{
	for (size_t i = 1; i < n; i++) {
		pid_t pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid)
			idle();
	}
}

static void setup_threads(size_t n)
{
	pthread_attr_t attr;
	pthread_t thread;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (size_t i = 1; i < n; i++)
		if (pthread_create(&thread, &attr, idle_thread, NULL))
			die("pthread_create");
}

static void setup_heap(size_t n)
{
	filled_memory(n << 20, PAGE);
}

static void setup_frag(size_t n)
{
	filled_memory(n << 21, 2 * PAGE);
}

static void raise_limit(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void setup_epoll(size_t n)
{
	int set = epoll_create1(0);
	raise_limit();
	for (size_t i = 0; i < n; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.u64 = i};
		int fd = eventfd(0, 0);
		if (fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &e))
			die("epoll_ctl");
	}
}

static void setup_fds(size_t n)
{
	raise_limit();
	for (size_t i = 0; i < n; i++)
		if (open("/etc/hostname", O_RDONLY) < 0)
			die("/etc/hostname");
}

/* n ends: both of each connection are here. */
static void setup_tcp(size_t n)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(name);
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&name, len) || listen(listener, 64) ||
		getsockname(listener, (struct sockaddr *)&name, &len))
		die("listen");
	for (size_t i = 0; i < n / 2; i++) {
		int client = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(client, (struct sockaddr *)&name, len) ||
			accept(listener, NULL, NULL) < 0)
			die("connect");
	}
}

static void setup_vmas(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *m = mmap(
			NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m == MAP_FAILED || mprotect(m + PAGE, PAGE, PROT_NONE))
			die("mmap");
		*m = 1;
	}
}

/* Never returns. */
static void setup_beat(size_t n)
{
	const struct timespec interval = {.tv_nsec = 100000};
	char path[4096], *m = filled_memory(n << 20, PAGE);
	snprintf(path, sizeof(path), "%s.gap", ready_path);
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, PAGE))
		die(path);
	volatile uint64_t *gap = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (gap == MAP_FAILED)
		die(path);
	close(fd);
	say_ready();
	uint64_t last = 0;
	for (uint64_t beat = 0;; beat++) {
		struct timespec t;
		clock_gettime(CLOCK_MONOTONIC, &t);
		uint64_t now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
		if (last && now - last > gap[0])
			gap[0] = now - last;
		last = now;
		gap[1] = beat;
		m[beat * PAGE % (n << 20)]++;
		nanosleep(&interval, NULL);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*setup)(size_t n);
	} kinds[] = {
		{"small", setup_small},
		{"tree", setup_tree},
		{"threads", setup_threads},
		{"heap", setup_heap},
		{"frag", setup_frag},
		{"fds", setup_fds},
		{"tcp", setup_tcp},
		{"epoll", setup_epoll},
		{"vmas", setup_vmas},
		{"beat", setup_beat},
	};
	if (argc != 4)
		return 2;
	ready_path = argv[3];
	setsid();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(argv[1], kinds[i].name))
			continue;
		kinds[i].setup((size_t)atol(argv[2]));
		say_ready();
		idle();
	}
	return 2;
}
