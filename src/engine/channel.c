/* Moving programs into a channel and results out of it; see channel.h for the layout. */
#include "engine/channel.h"

#include <errno.h>
#include <string.h>

#include "base/fault.h"

enum {
	DATA_ALIGN = 16,
	FIRST_END = 4096 - CHANNEL_STACK, /* of data, if all fits: one page with a stack in front */
	END_GROWTH = 4,
};

struct loading {
	struct channel *ch;
	struct program *p;
	uint32_t load;
	size_t end;  /* offset where data ends */
	size_t used; /* bytes of it placed, counted down from there */
};

static size_t align_data(size_t len)
{
	return (len + DATA_ALIGN - 1) & ~(size_t)(DATA_ALIGN - 1);
}

static void *host_of(const struct channel *ch, uint64_t task_addr)
{
	return (char *)ch->shared + (task_addr - ch->task_addr);
}

void channel_init(struct channel *ch, void *shared, uint64_t task_addr, size_t size,
	enum agent_park park)
{
	*ch = (struct channel){
		.shared = shared,
		.task_addr = task_addr,
		.size = size,
		.data_end = size - CHANNEL_STACK,
		.stack = task_addr + size,
	};
	memset(shared, 0, sizeof(struct agent_channel));
	ch->shared->park = park;
	ch->shared->failed = -1;
}

void channel_init_behind_stack(struct channel *ch, void *shared, uint64_t task_addr, size_t size,
	enum agent_park park)
{
	size -= CHANNEL_STACK;
	channel_init(ch, (char *)shared + CHANNEL_STACK, task_addr + CHANNEL_STACK, size, park);
	ch->data_end = size;
	ch->stack = ch->task_addr;
}

/* Bytes that a block and all it points to still need in this load. */
static size_t block_need(const struct program *p, uint32_t load, uint32_t index)
{
	const struct block *b = &p->blocks.v[index];
	if (b->load == load)
		return 0;
	size_t need = align_data(b->len);
	if (b->has_links)
		vec_for_each(&p->relocs, r)
			if (r->block == index)
				need += block_need(p, load, r->target);
	return need;
}

static void place_block(struct loading *l, uint32_t index)
{
	struct block *b = &l->p->blocks.v[index];
	if (b->load == l->load)
		return;
	b->load = l->load;
	l->used += align_data(b->len);
	b->task_addr = l->ch->task_addr + l->end - l->used;
	char *bytes = host_of(l->ch, b->task_addr);
	if (b->to_task)
		memcpy(bytes, b->host, b->len);
	if (!b->has_links)
		return;
	vec_for_each(&l->p->relocs, r) {
		if (r->block != index)
			continue;
		place_block(l, r->target);
		memcpy(bytes + r->offset, &l->p->blocks.v[r->target].task_addr, sizeof(uint64_t));
	}
}

static size_t step_need(const struct loading *l, const struct step *step)
{
	size_t need = sizeof(struct agent_step);
	for (int k = 0; k < 6; k++)
		if (step->arg[k].kind == ARG_BLOCK)
			need += block_need(l->p, l->load, step->arg[k].index);
	return need;
}

static void place_step(struct loading *l, const struct step *step, struct agent_step *to)
{
	struct program *p = l->p;
	to->nr = fault_at_this_step(p->s, p->about, step->what) ? AGENT_CALL_NONE : step->nr;
	to->flags = step->flags;
	to->expect = step->expect;
	to->result = AGENT_RESULT_NONE;
	for (uint32_t k = 0; k < 6; k++) {
		struct arg a = step->arg[k];
		to->arg[k] = a.value;
		if (a.kind == ARG_BLOCK) {
			place_block(l, a.index);
			to->arg[k] = l->p->blocks.v[a.index].task_addr + a.value;
		} else if (a.kind == ARG_RESULT && a.index < l->p->n_played) {
			to->arg[k] = (uint64_t)l->p->steps.v[a.index].result;
		} else if (a.kind == ARG_RESULT) {
			to->flags |= (uint32_t)AGENT_ARG_RESULT_0 << k;
			to->arg[k] = a.index - l->p->n_played;
		}
	}
}

/* Places as many steps as fit below l->end. */
static uint32_t place_steps(struct loading *l)
{
	size_t room = l->end - sizeof(struct agent_channel), steps_len = 0;
	uint32_t n = 0;
	for (size_t i = l->p->n_played; i < l->p->steps.n; i++) {
		const struct step *step = &l->p->steps.v[i];
		if (steps_len + l->used + step_need(l, step) > room)
			break;
		place_step(l, step, &l->ch->shared->steps[n++]);
		steps_len += sizeof(struct agent_step);
	}
	return n;
}

int channel_load(struct channel *ch, struct program *p)
{
	size_t left = p->steps.n - p->n_played;
	size_t least = sizeof(struct agent_channel) + left * sizeof(struct agent_step);
	uint32_t n = 0;
	for (size_t end = FIRST_END; n < left; end *= END_GROWTH) {
		bool whole = end >= ch->data_end;
		if (!whole && least > end)
			continue;
		struct loading l = {.ch = ch, .p = p, .load = ++p->n_loads};
		l.end = whole ? ch->data_end : end;
		n = place_steps(&l);
		if (whole)
			break;
	}
	if (!n && left)
		return fail(p->s, E2BIG, "%s: step '%s' does not fit the channel", p->about,
			p->steps.v[p->n_played].what);
	ch->shared->n_steps = n;
	ch->shared->failed = -1;
	__atomic_add_fetch(&ch->shared->request, 1, __ATOMIC_SEQ_CST);
	return (int)n;
}

static int step_failed(struct program *p, const struct step *step)
{
	const char *object = step->object ? step->object : "";
	const char *gap = step->object ? " " : "";
	if (step->result < 0 && step->result >= -4095)
		return fail(p->s, (int)step->result, "%s: %s%s%s", p->about, step->what, gap, object);
	return fail(p->s, EIO, "%s: %s%s%s: result %lld instead of %lld", p->about, step->what, gap,
		object, (long long)step->result, (long long)step->expect);
}

static void fetch_block(const struct channel *ch, const struct program *p, uint32_t index)
{
	const struct block *b = &p->blocks.v[index];
	if (b->from_task)
		memcpy(b->host, host_of(ch, b->task_addr), b->len);
	if (!b->has_links)
		return;
	vec_for_each(&p->relocs, r)
		if (r->block == index)
			fetch_block(ch, p, r->target);
}

static void take_results(struct channel *ch, struct program *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct step *step = &p->steps.v[p->n_played + i];
		step->result = ch->shared->steps[i].result;
		for (int k = 0; k < 6; k++)
			if (step->arg[k].kind == ARG_BLOCK)
				fetch_block(ch, p, step->arg[k].index);
	}
	p->n_played += n;
}

int channel_collect(struct channel *ch, struct program *p)
{
	const struct agent_channel *shared = ch->shared;
	uint32_t n = shared->n_steps;
	int32_t failed = __atomic_load_n(&shared->failed, __ATOMIC_SEQ_CST);
	if (n > p->steps.n - p->n_played || failed >= (int32_t)n)
		return fail(p->s, EPROTO, "%s: the agent's channel is damaged", p->about);
	take_results(ch, p, failed < 0 ? n : (uint32_t)failed + 1);
	return failed < 0 ? 0 : step_failed(p, &p->steps.v[p->n_played - 1]);
}

bool channel_failed(const struct channel *ch, uint32_t *ret_nr, int *ret_err)
{
	int32_t failed = ch->shared->failed;
	if (failed < 0 || (uint32_t)failed >= ch->shared->n_steps)
		return false;
	*ret_nr = ch->shared->steps[failed].nr;
	*ret_err = (int)ch->shared->steps[failed].result;
	return true;
}

void channel_retreat(struct channel *ch, struct program *p)
{
	take_results(ch, p, (uint32_t)ch->shared->failed);
}
