/* Walking the table of aspects. */
#include "task/aspect.h"

#define WALK(hook, ...)                                                                            \
	for (int i = 0; aspects[i]; i++) {                                                         \
		const struct aspect *a = aspects[i];                                               \
		if (!a->hook || !aspect_applies(a, t))                                             \
			continue;                                                                  \
		int r = a->hook(__VA_ARGS__);                                                      \
		if (r < 0)                                                                         \
			return fail(s, r, "pid %d thread %d: %s", t->task->vpid, t->vtid,          \
				a->name);                                                          \
	}                                                                                          \
	return 0

int aspects_read(struct session *s, struct thread *t, struct aspect_states *st)
{
	WALK(read, s, t, &st->state[i]);
}

int aspects_inspect(struct session *s, struct thread *t, struct aspect_states *st)
{
	WALK(inspect, s, t, &st->state[i]);
}

int aspects_collect(struct session *s, struct thread *t, struct program *p, struct aspect_states *st)
{
	WALK(collect, s, t, p, &st->state[i]);
}

int aspects_store(struct session *s, struct thread *t, const struct program *p,
	struct aspect_states *st)
{
	WALK(store, s, t, p, st->state[i]);
}

int aspects_check(struct session *s, struct thread *t)
{
	int r = 0;
	for (int i = 0; aspects[i] && r >= 0; i++) {
		const struct aspect *a = aspects[i];
		if (a->check && aspect_applies(a, t))
			r = postpone(s, a->check(s, t));
		if (r < 0)
			fail(s, r, "pid %d thread %d: %s", t->task->vpid, t->vtid, a->name);
	}
	return r;
}

int aspects_plan(struct session *s, struct thread *t, struct program *p)
{
	WALK(plan, s, t, p);
}

int aspects_finish(struct session *s, struct thread *t)
{
	WALK(finish, s, t);
}

int aspects_settle(struct session *s, struct thread *t)
{
	WALK(settle, s, t);
}
