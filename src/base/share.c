/*
 * The helper waits for jobs, one at a time; see share.h.
 *
 * A process that forks has no helper in its child: its sessions work alone there.
 */
#include "base/share.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum {
	HANDFUL_MAX = 8,
	HANDFULS = 128,	    /* so that none is long to wait for at the end */
	WORTH_A_START = 64, /* to start a thread takes as long as a few pieces */
	WORTH_A_WAKE = 4,
};

/* Done for somebody who waits for it. */
struct job {
	int (*run)(struct session *s, void *arg);
	void *arg;
	int result;
	bool done;
};

struct helper {
	struct session s;      /* the helper's */
	struct session lane_0; /* the other thread's while both are in their lanes */
	pthread_t thread;
	pid_t pid; /* of the process it lives in */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *job; /* NULL: none */
	bool end;
};

/* --- the helper's side --- */

static void *help(void *arg)
{
	struct helper *h = arg;
	pthread_mutex_lock(&h->lock);
	while (!h->end) {
		struct job *job = h->job;
		if (!job) {
			pthread_cond_wait(&h->changed, &h->lock);
			continue;
		}
		pthread_mutex_unlock(&h->lock);
		int result = job->run(&h->s, job->arg);
		pthread_mutex_lock(&h->lock);
		job->result = result;
		job->done = true;
		h->job = NULL;
		pthread_cond_broadcast(&h->changed);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* --- sessions --- */

/* What may have changed in the caller's since it was copied; memory and findings are its own. */
static void follow(struct session *to, const struct session *s)
{
	struct session own = *to;
	*to = *s;
	to->arena = own.arena;
	to->cpu = own.cpu ? own.cpu : s->cpu;
	to->failure = to->postponed = (struct failure){0};
	to->stats = (struct run_stats){0};
	to->blockers.v = NULL;
	to->blockers.n = to->blockers.cap = 0;
	to->helper = NULL;
}

static void add_stats(struct run_stats *to, const struct run_stats *from)
{
	to->memdump_us += from->memdump_us;
	to->memwrite_us += from->memwrite_us;
	to->pages_scanned += from->pages_scanned;
	to->pages_written += from->pages_written;
}

static void take_findings(struct session *s, struct session *from)
{
	add_stats(&s->stats, &from->stats);
	vec_for_each (&from->blockers, b)
		*vec_push(&s->arena, &s->blockers) = *b;
	if (!s->failure.err)
		s->failure = from->failure;
	if (!s->postponed.err)
		s->postponed = from->postponed;
	s->cpu = s->cpu ? s->cpu : from->cpu;
}

/* --- jobs --- */

/*
 * The signals of the controller, its alarm above all, are for the main thread. Only SIGCHLD is not
 * blocked: every stop of a task would leave one pending.
 */
static bool start_thread(struct helper *h)
{
	sigset_t most, before;
	sigfillset(&most);
	sigdelset(&most, SIGCHLD);
	pthread_sigmask(SIG_SETMASK, &most, &before);
	int err = pthread_create(&h->thread, NULL, help, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !err;
}

static struct helper *helper_of(struct session *s, bool worth_a_start)
{
	struct helper *h = s->helper;
	if (h)
		return h->pid == getpid() ? h : NULL;
	if (!worth_a_start || s->is_lane)
		return NULL;
	h = arena_new(&s->arena, struct helper);
	h->pid = getpid();
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->changed, NULL);
	if (!start_thread(h))
		return NULL;
	s->helper = h;
	return h;
}

/* Gives it a job; false if it is at another. */
static bool give(struct session *s, struct helper *h, struct job *job)
{
	pthread_mutex_lock(&h->lock);
	bool idle = !h->job;
	if (idle) {
		follow(&h->s, s);
		h->s.is_lane = true;
		h->job = job;
		pthread_cond_broadcast(&h->changed);
	}
	pthread_mutex_unlock(&h->lock);
	return idle;
}

static int await(struct session *s, struct helper *h, const struct job *job)
{
	pthread_mutex_lock(&h->lock);
	while (!job->done)
		pthread_cond_wait(&h->changed, &h->lock);
	pthread_mutex_unlock(&h->lock);
	take_findings(s, &h->s);
	return job->result;
}

void share_end(struct session *s)
{
	struct helper *h = helper_of(s, /* worth_a_start= */ false);
	s->helper = NULL;
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->end = true;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	arena_adopt(&s->arena, &h->s.arena);
	arena_adopt(&s->arena, &h->lane_0.arena);
}

/* --- many pieces --- */

struct pile {
	size_t n, next, handful;
	share_work *work;
	void *arg;
};

static int work_off(struct session *s, void *arg)
{
	struct pile *p = arg;
	for (;;) {
		size_t i = __atomic_fetch_add(&p->next, p->handful, __ATOMIC_RELAXED);
		for (size_t end = i + p->handful; i < end; i++) {
			int r = i < p->n ? p->work(s, p->arg, i) : 0;
			if (r < 0)
				__atomic_store_n(&p->next, p->n, __ATOMIC_RELAXED);
			if (r < 0 || i >= p->n)
				return r;
		}
	}
}

static int share_pile(struct session *s, struct pile *p, size_t worth_a_start, size_t worth_a_wake)
{
	struct helper *h = p->n < worth_a_wake ? NULL : helper_of(s, p->n >= worth_a_start);
	struct job job = {.run = work_off, .arg = p};
	bool helped = h && give(s, h, &job);
	int r = work_off(s, p);
	int theirs = helped ? await(s, h, &job) : 0;
	return r < 0 ? r : theirs;
}

int share_out(struct session *s, size_t n, share_work *work, void *arg)
{
	size_t handful = 1 + n / HANDFULS;
	handful = handful < HANDFUL_MAX ? handful : HANDFUL_MAX;
	struct pile pile = {.n = n, .handful = handful, .work = work, .arg = arg};
	return share_pile(s, &pile, WORTH_A_START, WORTH_A_WAKE);
}

int share_out_large(struct session *s, size_t n, share_work *work, void *arg)
{
	struct pile pile = {.n = n, .handful = 1, .work = work, .arg = arg};
	return share_pile(s, &pile, 2, 2);
}

/* --- lanes --- */

struct lane_job {
	lane_work *work;
	void *arg;
};

static int run_lane_1(struct session *s, void *arg)
{
	const struct lane_job *l = arg;
	return l->work(s, l->arg, 1);
}

unsigned lanes_open(struct session *s, bool worth_it)
{
	return helper_of(s, worth_it) ? 2 : 1;
}

int lanes_run(struct session *s, lane_work *work, void *arg)
{
	struct helper *h = helper_of(s, /* worth_a_start= */ false);
	struct lane_job lane = {work, arg};
	struct job job = {.run = run_lane_1, .arg = &lane};
	if (!h)
		return work(s, arg, 0);
	bool given = give(s, h, &job);
	assert(given); /* lanes are for the session's own thread, which waits for each of its jobs
			*/
	follow(&h->lane_0, s);
	h->lane_0.is_lane = true;
	int r = work(&h->lane_0, arg, 0);
	take_findings(s, &h->lane_0);
	int theirs = await(s, h, &job);
	return r < 0 ? r : theirs;
}

struct one_lane {
	unsigned lane;
	lane_work *work;
	void *arg;
};

static int run_if_it_is(struct session *s, void *arg, unsigned lane)
{
	const struct one_lane *one = arg;
	return lane == one->lane ? one->work(s, one->arg, lane) : 0;
}

int lane_run(struct session *s, unsigned lane, lane_work *work, void *arg)
{
	struct one_lane one = {lane, work, arg};
	return lanes_run(s, run_if_it_is, &one);
}
