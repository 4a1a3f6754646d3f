/*
 * A bit of everything, always at work and always checking itself: for thousands of dumps and
 * restores in a row (tests/live/soak.py).  Two processes exchange numbers over pipe, unix and TCP
 * sockets and a terminal, each pair by threads of its own; timers of three kinds run; memory that
 * is private, inherited, shared, of a file and of a removed file is written and compared. Each of
 * these counts its rounds in the control page, so that the driver sees that all go on.
 *
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 * VARIANTS: scenario
 */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "inet.h"
#include "pty.h"

enum { LINE, UNIX, TCP, TTY, CLOCKS, ALARMS, PARENT, CHILD, N_BEATS };
enum { BEATS_AT = 128, ROOM = 1 << 20, PAUSE_US = 1000 };

struct place {
	uint64_t value[2]; /* of parent and child */
};

static struct ctl *ctl;
static volatile uint64_t *beats;
static struct place *shared;
static uint8_t *inherited;
static int line[2], sockets[2], tcp[2], master, slave, ghost, epoll, clock_fd;
static volatile sig_atomic_t alarms;

static bool over(void)
{
	return __atomic_load_n(&ctl->release, __ATOMIC_RELAXED);
}

static void beat(int which)
{
	__atomic_fetch_add(&beats[which], 1, __ATOMIC_RELAXED);
	nap_us(PAUSE_US);
}

static void start(void *(*body)(void *))
{
	pthread_t thread;

	NEED(!pthread_create(&thread, NULL, body, NULL));
	NEED(!pthread_detach(thread));
}

static void give(int fd, uint64_t n)
{
	NEED(write(fd, &n, sizeof(n)) == sizeof(n));
}

static uint64_t take(int fd)
{
	uint64_t n = 0;

	for (size_t done = 0; done < sizeof(n);) {
		ssize_t got = read(fd, (char *)&n + done, sizeof(n) - done);
		NEED(got > 0);
		done += got;
	}
	return n;
}

/* --- what the parent sends, the child sends back --- */

static void *to_line(void *unused)
{
	for (uint64_t n = 0;; n++) {
		give(line[1], n);
		beat(LINE);
	}
	return unused;
}

static void *from_line(void *unused)
{
	for (uint64_t n = 0;; n++) {
		SAME(take(line[0]), n);
		give(sockets[1], mix(n));
	}
	return unused;
}

static void *from_unix(void *unused)
{
	for (uint64_t n = 0;; n++) {
		SAME(take(sockets[0]), mix(n));
		beat(UNIX);
	}
	return unused;
}

static void *ask_tcp(void *unused)
{
	for (uint64_t n = 1;; n++) {
		give(tcp[0], n);
		SAME(take(tcp[0]), mix(n));
		beat(TCP);
	}
	return unused;
}

static void *answer_tcp(void *unused)
{
	for (;;)
		give(tcp[1], mix(take(tcp[1])));
	return unused;
}

static void *ask_tty(void *unused)
{
	for (unsigned n = 1;; n++) {
		char text[32], answer[32] = "";
		int len = snprintf(text, sizeof(text), "line %u\n", n);
		NEED(write(master, text, len) == len);
		for (size_t at = 0; !strchr(answer, '\n');) {
			ssize_t got = read(master, answer + at, sizeof(answer) - 1 - at);
			NEED(got > 0);
			at += got;
			answer[at] = 0;
		}
		SAME(strtoul(answer, NULL, 10), n * 3);
		beat(TTY);
	}
	return unused;
}

static void *answer_tty(void *unused)
{
	for (;;) {
		char text[32] = "";
		unsigned n;
		NEED(read(slave, text, sizeof(text) - 1) > 0);
		NEED(sscanf(text, "line %u\n", &n) == 1);
		NEED(dprintf(slave, "%u\n", n * 3) > 0);
	}
	return unused;
}

/* --- timers --- */

static void *hear_timer(void *unused)
{
	struct sigevent to = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	struct itimerspec every = {{0, 3000000}, {0, 3000000}};
	siginfo_t info;
	sigset_t set;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	to.sigev_value.sival_int = 4711;
	NEED(!timer_create(CLOCK_MONOTONIC, &to, &timer));
	NEED(!timer_settime(timer, 0, &every, NULL));
	for (;;) {
		struct itimerspec now;
		while (sigwaitinfo(&set, &info) < 0)
			NEED(errno == EINTR);
		SAME(info.si_code, SI_TIMER);
		SAME(info.si_value.sival_int, 4711);
		NEED(!timer_gettime(timer, &now));
		SAME(now.it_interval.tv_nsec, 3000000);
		beat(CLOCKS);
	}
	return unused;
}

static void on_alarm(int signo)
{
	(void)signo;
	alarms = alarms + 1;
}

/* The timerfd, by epoll, and that alarms went on. */
static void *wait_clock(void *unused)
{
	sigset_t alarm;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	NEED(!pthread_sigmask(SIG_UNBLOCK, &alarm, NULL));
	for (;;) {
		struct epoll_event e;
		sig_atomic_t before = alarms;
		int n = epoll_wait(epoll, &e, 1, -1);
		if (n < 0 && errno == EINTR)
			continue;
		SAME(n, 1);
		SAME(e.data.u64, 77);
		NEED(take(clock_fd) > 0);
		while (alarms == before)
			nap_us(PAUSE_US);
		beat(ALARMS);
	}
	return unused;
}

/* --- memory --- */

static void *watch_memory(void *arg)
{
	int who = *(int *)arg;
	uint8_t *own = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t seeds[ROOM / PAGE] = {0};

	NEED(own != MAP_FAILED);
	for (size_t i = 0; i < ROOM / PAGE; i++)
		fill(own + i * PAGE, PAGE, seeds[i] = i);
	for (uint64_t n = 1; !over(); n++) {
		size_t page = mix(n) % (ROOM / PAGE), written = mix(n + 7) % (ROOM / PAGE);
		uint64_t there;
		need_filled(own + page * PAGE, PAGE, seeds[page]);
		need_filled(inherited + page * PAGE, PAGE, 1000 + page);
		fill(own + written * PAGE, PAGE, seeds[written] = mix(n));
		SAME(shared->value[who], n - 1);
		shared->value[who] = n;
		NEED(pread(ghost, &there, sizeof(there), who * PAGE) == sizeof(there));
		SAME(there, n - 1);
		NEED(pwrite(ghost, &n, sizeof(n), who * PAGE) == sizeof(n));
		beat(PARENT + who);
	}
	return NULL;
}

static void child(void)
{
	int who = 1;
	NEED(setsid() == getpid());
	NEED(!ioctl(slave, TIOCSCTTY, 0));
	start(from_line);
	start(answer_tcp);
	start(answer_tty);
	watch_memory(&who);
	_exit(0);
}

/* --- before there is anything --- */

static void connect_tcp(void)
{
	int listener = listen_at(0, 0, 4);
	struct sockaddr_storage name;
	socklen_t len = name_at(0, port_of(listener), &name);

	tcp[0] = socket(AF_INET, SOCK_STREAM, 0);
	NEED(!connect(tcp[0], (struct sockaddr *)&name, len));
	tcp[1] = accept(listener, NULL, NULL);
	NEED(tcp[1] >= 0);
	set_opt(tcp[0], IPPROTO_TCP, TCP_NODELAY, 1);
	set_opt(tcp[1], IPPROTO_TCP, TCP_NODELAY, 1);
}

static void open_tty(void)
{
	struct termios t;

	master = open_master();
	slave = open_slave_of(master, O_RDWR);
	NEED(!tcgetattr(slave, &t));
	t.c_lflag &= ~(tcflag_t)ECHO;
	NEED(!tcsetattr(slave, TCSANOW, &t));
}

static void open_clock(void)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 77};
	struct itimerspec every = {{0, 3000000}, {0, 3000000}};

	epoll = epoll_create1(EPOLL_CLOEXEC);
	clock_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	NEED(!timerfd_settime(clock_fd, 0, &every, NULL));
	NEED(!epoll_ctl(epoll, EPOLL_CTL_ADD, clock_fd, &e));
}

static void make_memory(void)
{
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	inherited = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(shared != MAP_FAILED && inherited != MAP_FAILED);
	for (size_t i = 0; i < ROOM / PAGE; i++)
		fill(inherited + i * PAGE, PAGE, 1000 + i);
	ghost = open(in_dir("ghost"), O_RDWR | O_CREAT | O_EXCL, 0600);
	NEED(!ftruncate(ghost, 2 * PAGE));
	NEED(!unlink(in_dir("ghost")));
}

static void block_signals(void)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	sigset_t set;

	NEED(!sigaction(SIGALRM, &action, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGALRM);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
}

int main(int argc, char **argv)
{
	struct itimerval every = {{0, 4000}, {0, 4000}};
	int who = 0;

	setup(argc, argv);
	ctl = map_ctl();
	beats = (volatile uint64_t *)((uint8_t *)ctl + BEATS_AT);
	NEED(!pipe(line));
	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	connect_tcp();
	open_tty();
	open_clock();
	make_memory();
	block_signals();
	pid_t pid = fork();
	NEED(pid >= 0);
	if (!pid)
		child();
	start(to_line);
	start(from_unix);
	start(ask_tcp);
	start(ask_tty);
	start(hear_timer);
	start(wait_clock);
	NEED(!setitimer(ITIMER_REAL, &every, NULL));
	ready();
	watch_memory(&who);
	need_exit(pid, 0);
	ok();
}
