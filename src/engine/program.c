/* Building programs: plain lists in the session's arena; see program.h. */
#include "engine/program.h"

#include "engine/agent/abi.h"

void program_init(struct program *p, struct session *s, const char *about)
{
	*p = (struct program){.s = s, .about = about};
}

void program_reserve(struct program *p, size_t n)
{
	struct arena *a = &p->s->arena;
	p->steps.v = arena_array(a, struct step, n);
	p->blocks.v = arena_array(a, struct block, n);
	p->steps.cap = p->blocks.cap = n;
}

void program_reset(struct program *p)
{
	p->steps.n = p->blocks.n = p->relocs.n = 0;
	p->n_played = 0;
	p->n_loads = 0;
}

static struct arg add_block(struct program *p, void *host, size_t len, bool to_task, bool from_task)
{
	uint32_t index = (uint32_t)p->blocks.n;
	*vec_push(&p->s->arena, &p->blocks) = (struct block){
		.host = host,
		.len = (uint32_t)len,
		.to_task = to_task,
		.from_task = from_task,
	};
	return (struct arg){.kind = ARG_BLOCK, .index = index};
}

struct arg in(struct program *p, const void *host, size_t len)
{
	return add_block(p, (void *)(uintptr_t)host, len, true, false);
}

struct arg in_copy(struct program *p, const void *host, size_t len)
{
	return in(p, arena_memdup(&p->s->arena, host, len), len);
}

struct arg in_str(struct program *p, const char *text)
{
	return in(p, text, strlen(text) + 1);
}

struct arg out(struct program *p, void *host, size_t len)
{
	return add_block(p, host, len, false, true);
}

struct arg inout(struct program *p, void *host, size_t len)
{
	return add_block(p, host, len, true, true);
}

void program_link(struct program *p, struct arg from, size_t offset, struct arg to)
{
	p->blocks.v[from.index].has_links = true;
	*vec_push(&p->s->arena, &p->relocs) = (struct reloc){
		.block = from.index, .offset = (uint32_t)offset, .target = to.index};
}

int program_add(struct program *p, struct step step)
{
	uint32_t index = (uint32_t)p->steps.n;
	*vec_push(&p->s->arena, &p->steps) = step;
	return (int)index;
}

int program_may_fail(struct program *p, int step)
{
	p->steps.v[step].flags |= AGENT_STEP_MAY_FAIL;
	return step;
}

int program_expect(struct program *p, int step, int64_t result)
{
	p->steps.v[step].flags |= AGENT_STEP_EXPECT;
	p->steps.v[step].expect = result;
	return step;
}
