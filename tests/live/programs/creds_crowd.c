/*
 * Processes with so many threads that most are not looked at one by one: in one, a few have
 * credentials, filters or pending signals of their own; in two, the main thread has.
 * PROVES: F315 F314
 * TIMEOUT: 60
 */
#include "creds.h"
#include "seccomp.h"
#include <pthread.h>
#include <signal.h>

enum { THREADS = 300, ODD_FROM = 100, DENIED = 77 };
enum kind {
	IDS,
	CAPS,
	NO_NEW_PRIVS,
	SECUREBITS,
	FILTER,
	FILTER_TOO,
	PENDING,
	FS_ID,
	GROUPS,
	KINDS
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER, up_cond = PTHREAD_COND_INITIALIZER;
static int up;
static bool go;

static void queue_signal(void)
{
	siginfo_t info = {.si_code = SI_QUEUE};

	info.si_value.sival_int = 4711;
	NEED(!syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGUSR2, &info));
}

static void become(enum kind kind)
{
	gid_t groups[] = {5, 6, 7};

	if (kind == IDS)
		NEED(!syscall(SYS_setresgid, 31, 32, 33) && !syscall(SYS_setresuid, 21, 22, 23));
	if (kind == CAPS)
		set_caps(CAP(CHOWN) | CAP(SYS_PTRACE), CAP(CHOWN) | CAP(KILL) | CAP(SYS_PTRACE), 0);
	if (kind == NO_NEW_PRIVS || kind == FILTER_TOO)
		NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (kind == SECUREBITS)
		NEED(!prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP));
	if (kind == FILTER || kind == FILTER_TOO)
		deny(SYS_getuid, DENIED, 0);
	if (kind == PENDING)
		queue_signal();
	if (kind == FS_ID)
		syscall(SYS_setfsuid, 55);
	if (kind == GROUPS)
		NEED(!syscall(SYS_setgroups, 3, groups));
}

static void check(enum kind kind)
{
	const struct timespec now = {0};
	siginfo_t info;
	sigset_t set;
	bool filter = kind == FILTER || kind == FILTER_TOO;

	SAME(prctl(PR_GET_SECCOMP), filter ? 2 : 0);
	SAME(outcome(SYS_getuid), filter ? DENIED : 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	SAME(sigtimedwait(&set, &info, &now), kind == PENDING ? SIGUSR2 : -1);
	if (kind == PENDING)
		SAME(info.si_value.sival_int, 4711);
}

static enum kind kind_of(long i)
{
	return i < ODD_FROM || i % 4 ? KINDS : i / 4 % KINDS;
}

static void *thread(void *arg)
{
	struct creds before, after;
	enum kind kind = kind_of((long)arg);

	become(kind);
	get_creds(&before);
	pthread_mutex_lock(&mutex);
	up++;
	pthread_cond_signal(&up_cond);
	while (!go)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
	get_creds(&after);
	same_creds(&before, &after);
	check(kind);
	return arg;
}

static void start(pthread_t *t, long first)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (long i = 0; i < THREADS; i++)
		NEED(!pthread_create(&t[i], &attr, thread, (void *)(first + i)));
	pthread_mutex_lock(&mutex);
	while (up < THREADS)
		pthread_cond_wait(&up_cond, &mutex);
	pthread_mutex_unlock(&mutex);
}

static void finish(const pthread_t *t)
{
	pthread_mutex_lock(&mutex);
	go = true;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < THREADS; i++)
		NEED(!pthread_join(t[i], NULL));
}

/* All of their threads are plain, they are not. */
static void odd_leader(void *kinds)
{
	static pthread_t t[THREADS];
	struct creds before, after;

	start(t, -THREADS);
	for (const enum kind *k = kinds; *k != KINDS; k++)
		become(*k);
	get_creds(&before);
	child_park();
	get_creds(&after);
	same_creds(&before, &after);
	SAME(outcome(SYS_getuid), DENIED);
	finish(t);
}

int main(int argc, char **argv)
{
	static pthread_t t[THREADS];
	enum kind filtered[] = {FILTER, KINDS}, all[] = {PENDING, GROUPS, CAPS, FILTER_TOO, KINDS};
	sigset_t set;

	setup(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid_t one = spawn(odd_leader, filtered), other = spawn(odd_leader, all);
	await_child(one);
	await_child(other);
	start(t, 0);
	park();
	check(KINDS);
	finish(t);
	need_exit(one, 0);
	need_exit(other, 0);
	ok();
}
