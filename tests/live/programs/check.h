/*
 * What every live test program shares: announce, wait, judge.
 *
 * A program is started as `PROGRAM DIR`, builds some state, calls ready(), waits for release
 * (by park(), or in whatever call is under test, with released() or the control page telling
 * it when to stop), then compares everything it built with NEED() and ends with ok().
 *
 *   DIR/ready    appears when the state is built; the driver dumps and restores after that
 *   DIR/release  appears when the driver wants the verdict
 *   DIR/result   "OK", "BAD file:line: condition" or "SKIP reason"; the first writer wins
 *   DIR/ctl      one page, mapped by programs that must wait without a system call:
 *                release (the driver sets it) and armed (counts as ready)
 *
 * Waiting by park() touches nothing but the clock and the file system: no signal, no shared
 * memory, no descriptor stays open.
 */
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define PAGE   4096UL

struct ctl {
	volatile uint8_t release;
	uint8_t pad[63];
	volatile uint8_t armed;
};

static char dir[256] UNUSED;

static UNUSED const char *in_dir(const char *name)
{
	static __thread char path[8][512];
	static __thread unsigned int turn;
	char *p = path[turn++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

/* Write DIR/name with the given text; it appears whole, and only if it was not there yet. */
static UNUSED void say(const char *name, const char *text)
{
	char tmp[512];
	int fd;

	snprintf(tmp, sizeof(tmp), "%s/%s.%ld", dir, name, syscall(SYS_gettid));
	fd = open(tmp, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(9);
	close(fd);
	link(tmp, in_dir(name));
	unlink(tmp);
}

static UNUSED __attribute__((format(printf, 1, 2), noreturn)) void bad(const char *format, ...)
{
	char text[900];
	int err = errno, n = snprintf(text, sizeof(text), "BAD pid %d: ", getpid());
	va_list ap;

	va_start(ap, format);
	n += vsnprintf(text + n, sizeof(text) - n, format, ap);
	va_end(ap);
	snprintf(text + n, sizeof(text) - n, " (errno %d %s)\n", err, strerror(err));
	say("result", text);
	_exit(1);
}

#define NEED(cond)                                                   \
	do {                                                         \
		if (!(cond))                                         \
			bad("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

/* Compare two integers and show both when they differ. */
#define SAME(a, b)                                                                               \
	do {                                                                                     \
		long long va_ = (long long)(a), vb_ = (long long)(b);                            \
		if (va_ != vb_)                                                                  \
			bad("%s:%d: %s is %lld, not %s (%lld)", __FILE__, __LINE__, #a, va_, #b, \
				vb_);                                                            \
	} while (0)

static UNUSED __attribute__((noreturn)) void skip(const char *reason)
{
	char text[300];

	snprintf(text, sizeof(text), "SKIP %s\n", reason);
	say("result", text);
	_exit(0);
}

static UNUSED __attribute__((noreturn)) void ok(void)
{
	say("result", "OK\n");
	_exit(0);
}

static UNUSED void setup(int argc, char **argv)
{
	if (argc < 2)
		_exit(2);
	snprintf(dir, sizeof(dir), "%s", argv[1]);
}

static UNUSED void nap_us(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000L};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		;
}

static UNUSED void nap_ms(int ms)
{
	nap_us(ms * 1000L);
}

static UNUSED bool exists(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

static UNUSED void ready(void)
{
	say("ready", "");
}

static UNUSED bool released(void)
{
	return exists("release");
}

/* No byte of ours changes meanwhile: not even the time that was left of an interrupted nap. */
static UNUSED void await(const char *name)
{
	const struct timespec nap = {.tv_nsec = 5000000};
	const char *path = in_dir(name);

	while (access(path, F_OK))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

static UNUSED void park(void)
{
	ready();
	await("release");
}

/* The control page. It must be mapped by programs that wait in user mode. */
static UNUSED struct ctl *map_ctl(void)
{
	int fd = open(in_dir("ctl"), O_RDWR | O_CLOEXEC);
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	NEED(p != MAP_FAILED);
	close(fd);
	return p;
}

/*
 * A child that runs body(arg), reports with its exit status and has said "I am set up" by
 * mark(): body calls child_park() between building and checking.
 */
static UNUSED void child_park(void)
{
	char name[32];

	snprintf(name, sizeof(name), "up.%d", getpid());
	say(name, "");
	await("release");
}

static UNUSED void await_child(pid_t pid)
{
	char name[32];

	snprintf(name, sizeof(name), "up.%d", pid);
	await(name);
}

static UNUSED pid_t spawn(void (*body)(void *), void *arg)
{
	pid_t pid = fork();

	NEED(pid >= 0);
	if (pid == 0) {
		body(arg);
		_exit(0);
	}
	return pid;
}

static UNUSED void need_exit(pid_t pid, int code)
{
	int status;

	SAME(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		bad("child %d ended with wait status %#x, not exit %d", pid, status, code);
}

/* Reproducible bytes, different for every seed, and their check. */
static UNUSED uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static UNUSED void fill(void *mem, size_t size, uint64_t seed)
{
	uint64_t *p = mem;

	for (size_t i = 0; i < size / 8; i++)
		p[i] = mix(seed * 1000003 + i);
}

static UNUSED void need_filled(const void *mem, size_t size, uint64_t seed)
{
	const uint64_t *p = mem;

	for (size_t i = 0; i < size / 8; i++)
		if (p[i] != mix(seed * 1000003 + i))
			bad("contents of seed %llu differ at %p", (unsigned long long)seed,
				(const void *)(p + i));
}

/* A small file of /proc, whole. Returns its length. */
static UNUSED size_t slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;

	if (fd < 0)
		bad("open %s", path);
	while (n < size - 1 && (got = read(fd, buf + n, size - 1 - n)) > 0)
		n += got;
	close(fd);
	buf[n] = 0;
	return n;
}

/* The state letter of a thread: R, S, T, Z, ... */
static UNUSED char task_state(pid_t pid, pid_t tid)
{
	char path[64], buf[512], *p;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	slurp(path, buf, sizeof(buf));
	p = strrchr(buf, ')');
	NEED(p);
	return p[2];
}

/* Wait until all other threads of this process sleep: those just made have begun by then. */
static UNUSED void await_threads_asleep(void)
{
	pid_t self = getpid();

	for (int calm = 0; calm < 2; nap_ms(3)) {
		DIR *d = opendir("/proc/self/task");
		struct dirent *e;

		NEED(d);
		for (calm++; (e = readdir(d));)
			if (atoi(e->d_name) > 0 && atoi(e->d_name) != self &&
				task_state(self, atoi(e->d_name)) != 'S')
				calm = 0;
		closedir(d);
	}
}

#endif
