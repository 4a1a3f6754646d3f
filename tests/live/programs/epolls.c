/*
 * Epoll sets: data and events of targets; targets whose number was closed, reused, swapped, given
 * to two of them; known under two numbers; open only in another task; a set that parent and child
 * share and both added to; sets within sets; edges that were reported and that were not; one-shot
 * targets that are used up; exclusive ones; timers, signals. fdinfo must say the same after.
 * PROVES: F197 F198 F199
 */
#include "check.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

enum { SETS = 16 };

static int sets[SETS], n_sets, before_n[SETS];
static char before[SETS][2048], after[2048];
static int shared, elsewhere[2];

static int new_set(void)
{
	int fd = epoll_create1(n_sets % 2 ? EPOLL_CLOEXEC : 0);

	NEED(fd >= 0);
	sets[n_sets++] = fd;
	return fd;
}

static void add(int set, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	NEED(!epoll_ctl(set, EPOLL_CTL_ADD, fd, &e));
}

static void put(int fd)
{
	uint64_t one = 1;

	NEED(write(fd, &one, 8) == 8);
}

static void get(int fd)
{
	uint64_t v;

	NEED(read(fd, &v, 8) == 8);
}

static void need_nothing(int set)
{
	struct epoll_event e;

	SAME(epoll_wait(set, &e, 1, 0), 0);
}

/* Exactly one event, with this data. */
static void need_event(int set, uint64_t data)
{
	struct epoll_event e[2];

	SAME(epoll_wait(set, e, 2, 5000), 1);
	SAME(e[0].data.u64, data);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The tfd lines of fdinfo, sorted, up to the data. */
static int describe(int set, char *text, size_t size)
{
	char path[64], raw[4096], *lines[64];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", set);
	slurp(path, raw, sizeof(raw));
	for (char *line = strtok(raw, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, "tfd:", 4)) {
			strstr(line, " pos:")[0] = 0;
			lines[n++] = line;
		}
	qsort(lines, n, sizeof(*lines), compare_lines);
	*text = 0;
	for (int i = 0; i < n; i++) {
		strncat(text, lines[i], size - strlen(text) - 1);
		strncat(text, "\n", size - strlen(text) - 1);
	}
	return n;
}

static int event_fd(int count)
{
	int fd = eventfd(count, EFD_NONBLOCK);

	NEED(fd >= 0);
	return fd;
}

/* Has a pipe that the parent's set watches, and adds to the shared set what only it has. */
static void child(void *unused)
{
	(void)unused;
	int mine = event_fd(0), filler[3];

	for (int i = 0; i < 3; i++)
		filler[i] = event_fd(0);
	add(shared, filler[2], EPOLLIN, 0xc4);
	add(shared, mine, EPOLLIN, 0xc3);
	child_park();
	await("go");
	NEED(write(elsewhere[1], "x", 1) == 1);
	put(mine);
	await("seen");
	get(mine);
	put(filler[2]);
	say("taken", "");
	await("seen2");
}

int main(int argc, char **argv)
{
	struct epoll_event e;
	char byte;

	setup(argc, argv);
	int plain = new_set(), level = event_fd(0), data = event_fd(1);
	add(plain, level, EPOLLIN | EPOLLPRI, 0x1122334455667788);
	add(plain, data, 0, 7);

	/* numbers: closed, reused, swapped, twice for the same, two for one */
	int moved = new_set(), gone = event_fd(0), gone_now = dup(gone);
	add(moved, gone, EPOLLIN, 0xa1);
	close(gone);
	int null = open("/dev/null", O_RDONLY), zero = open("/dev/zero", O_RDONLY);
	int reused = new_set(), was = event_fd(0);
	NEED(null == gone); /* the lowest free number */
	add(reused, was, EPOLLIN, 0xa2);
	int was_now = fcntl(was, F_DUPFD, 500);
	NEED(dup3(zero, was, O_CLOEXEC) == was);
	int swapped = new_set(), x = event_fd(0), y = event_fd(0);
	add(swapped, x, EPOLLIN, 0xa3);
	add(swapped, y, EPOLLIN, 0xa4);
	int spare = dup(x);
	NEED(dup2(y, x) == x && dup2(spare, y) == y && !close(spare));
	int twice = new_set(), first = event_fd(0), first_now = fcntl(first, F_DUPFD, 600);
	add(twice, first, EPOLLIN, 0xa5);
	close(first);
	NEED(event_fd(0) == first);
	add(twice, first, EPOLLIN, 0xa6);
	int both = new_set(), one = event_fd(0), other = dup(one);
	add(both, one, EPOLLIN, 0xa7);
	add(both, other, EPOLLIN, 0xa8);

	/* in another task only; a set of two tasks */
	int far = new_set();
	shared = new_set();
	NEED(!pipe(elsewhere));
	add(far, elsewhere[0], EPOLLIN, 0xb1);
	add(shared, level, EPOLLIN, 0xb2);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	close(elsewhere[0]);
	close(elsewhere[1]);

	/* sets within sets */
	int outer = new_set(), inner = new_set(), deep = event_fd(0);
	add(outer, inner, EPOLLIN, 0xd1);
	add(inner, deep, EPOLLIN, 0xd2);

	/* edges: reported, and in another set not */
	int edges = new_set(), fresh = new_set(), hot = event_fd(1), pipe_fd[2];
	NEED(!pipe(pipe_fd) && write(pipe_fd[1], "x", 1) == 1);
	add(edges, hot, EPOLLIN | EPOLLET, 0xe1);
	add(edges, pipe_fd[0], EPOLLIN | EPOLLET, 0xe2);
	NEED(epoll_wait(edges, &e, 1, 0) == 1 && epoll_wait(edges, &e, 1, 0) == 1);
	need_nothing(edges);
	add(fresh, hot, EPOLLIN | EPOLLET, 0xe3);

	/* one-shot: used up and ready, used up and not ready, still to come; exclusive */
	int shots = new_set(), armed = event_fd(0), empty[2];
	add(shots, hot, EPOLLIN | EPOLLONESHOT, 0xf1);
	need_event(shots, 0xf1);
	NEED(!pipe(empty) && write(empty[1], "x", 1) == 1);
	add(shots, empty[0], EPOLLIN | EPOLLONESHOT | EPOLLET, 0xf2);
	need_event(shots, 0xf2);
	NEED(read(empty[0], &byte, 1) == 1);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	NEED(!timerfd_settime(timer, 0, &(struct itimerspec){.it_value = {0, 1}}, NULL));
	add(shots, timer, EPOLLIN | EPOLLONESHOT, 0xf4);
	need_event(shots, 0xf4);
	get(timer);
	NEED(!timerfd_settime(timer, 0, &(struct itimerspec){.it_value = {3600, 0}}, NULL));
	add(shots, armed, EPOLLIN | EPOLLONESHOT, 0xf3);
	int exclusive = new_set();
	add(exclusive, level, EPOLLIN | EPOLLEXCLUSIVE, 0xf5);

	/* signals */
	int signals = new_set();
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
	int signal_fd = signalfd(-1, &set, SFD_NONBLOCK);
	add(signals, signal_fd, EPOLLIN | EPOLLET, 0x51);
	raise(SIGUSR1);

	for (int i = 0; i < n_sets; i++)
		before_n[i] = describe(sets[i], before[i], sizeof(before[i]));
	park();
	for (int i = 0; i < n_sets; i++) {
		SAME(describe(sets[i], after, sizeof(after)), before_n[i]);
		/* a target that cannot be disabled can report errors (see epoll_restore.c) */
		char *disabled = strstr(after, "c0000018");
		if (disabled)
			memcpy(disabled, "c0000000", 8);
		if (strcmp(before[i], after))
			bad("set %d was\n%s\nis\n%s", i, before[i], after);
		SAME(fcntl(sets[i], F_GETFD), i % 2 ? FD_CLOEXEC : 0);
	}

	need_nothing(edges);
	need_event(fresh, 0xe3);
	need_nothing(fresh);
	put(hot);
	need_event(edges, 0xe1);
	need_event(fresh, 0xe3);
	NEED(write(pipe_fd[1], "x", 1) == 1);
	need_event(edges, 0xe2);

	need_nothing(shots);
	NEED(write(empty[1], "x", 1) == 1);
	put(hot);
	need_nothing(shots);
	put(armed);
	need_event(shots, 0xf3);
	e = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 0xf6};
	NEED(!epoll_ctl(shots, EPOLL_CTL_MOD, empty[0], &e));
	need_event(shots, 0xf6);
	need_nothing(shots);

	need_event(signals, 0x51);
	need_nothing(signals);
	raise(SIGUSR2);
	need_event(signals, 0x51);

	need_nothing(plain);
	need_nothing(exclusive);
	need_nothing(shared);
	put(level);
	need_event(plain, 0x1122334455667788);
	need_event(exclusive, 0xf5);
	need_event(shared, 0xb2);
	get(level);
	need_nothing(plain);

	need_nothing(moved);
	put(gone_now);
	need_event(moved, 0xa1);
	/* it still has its old number */
	NEED(epoll_ctl(moved, EPOLL_CTL_DEL, gone_now, NULL) == -1 && errno == ENOENT);
	NEED(read(gone, &byte, 1) == 0);
	NEED(dup2(gone_now, gone) == gone && !epoll_ctl(moved, EPOLL_CTL_DEL, gone, NULL));
	put(was_now);
	need_event(reused, 0xa2);
	SAME(fcntl(was, F_GETFD), FD_CLOEXEC);
	NEED(read(was, &byte, 1) == 1);
	put(x);
	need_event(swapped, 0xa4);
	get(x);
	put(y);
	need_event(swapped, 0xa3);
	put(first);
	need_event(twice, 0xa6);
	get(first);
	put(first_now);
	need_event(twice, 0xa5);
	put(one);
	struct epoll_event two[3];
	SAME(epoll_wait(both, two, 3, 0), 2);
	SAME(two[0].data.u64 + two[1].data.u64, 0xa7 + 0xa8);
	NEED(!epoll_ctl(both, EPOLL_CTL_DEL, one, NULL));
	need_event(both, 0xa8);

	need_nothing(outer);
	put(deep);
	need_event(outer, 0xd1);
	need_event(inner, 0xd2);

	say("go", "");
	need_event(far, 0xb1);
	need_event(shared, 0xc3);
	say("seen", "");
	await("taken");
	need_event(shared, 0xc4);
	say("seen2", "");
	need_exit(pid, 0);
	ok();
}
