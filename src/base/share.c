/* A pile of numbers from which two threads take handfuls; see share.h. */
#include "base/share.h"

#include <pthread.h>
#include <signal.h>

enum {
	HANDFUL = 8,
	WORTH_A_THREAD = 64, /* to start and join one takes as long as a few pieces */
};

struct pile {
	size_t n, next, handful;
	share_work *work;
	void *arg;
};

struct helper {
	struct session s;
	struct pile *pile;
	pthread_t thread;
	int result;
};

static int work_off(struct session *s, struct pile *p)
{
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

static void *help(void *arg)
{
	struct helper *h = arg;
	h->result = work_off(&h->s, h->pile);
	return NULL;
}

/* Without signals: those of the controller, its alarm above all, are for the main thread. */
static bool start(struct helper *h, const struct session *s, struct pile *p)
{
	*h = (struct helper){.s = *s, .pile = p};
	h->s.arena = (struct arena){0};
	h->s.failure = (struct failure){0};
	h->s.stats = (struct run_stats){0};
	h->s.blockers.v = NULL;
	h->s.blockers.n = h->s.blockers.cap = 0;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&h->thread, NULL, help, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !err;
}

static void add_stats(struct run_stats *to, const struct run_stats *from)
{
	to->memdump_us += from->memdump_us;
	to->memwrite_us += from->memwrite_us;
	to->pages_scanned += from->pages_scanned;
	to->pages_written += from->pages_written;
}

static int finish(struct helper *h, struct session *s)
{
	pthread_join(h->thread, NULL);
	add_stats(&s->stats, &h->s.stats);
	arena_adopt(&s->arena, &h->s.arena);
	vec_for_each (&h->s.blockers, b)
		*vec_push(&s->arena, &s->blockers) = *b;
	if (!s->failure.err)
		s->failure = h->s.failure;
	return h->result;
}

static int share_pile(struct session *s, struct pile *p, bool worth_it)
{
	struct helper h;
	bool helped = worth_it && start(&h, s, p);
	int r = work_off(s, p);
	int theirs = helped ? finish(&h, s) : 0;
	return r < 0 ? r : theirs;
}

int share_out(struct session *s, size_t n, share_work *work, void *arg)
{
	struct pile pile = {.n = n, .handful = HANDFUL, .work = work, .arg = arg};
	return share_pile(s, &pile, n >= WORTH_A_THREAD);
}

int share_out_large(struct session *s, size_t n, share_work *work, void *arg)
{
	struct pile pile = {.n = n, .handful = 1, .work = work, .arg = arg};
	return share_pile(s, &pile, n > 1);
}
