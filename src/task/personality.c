/*
 * The execution domain: personality(2), per thread in the kernel, one per process in the image.
 *
 * The core image's number is the reference's: the eight hex digits of /proc/PID/personality read
 * as a decimal number (ADDR_NO_RANDOMIZE, 00040000, becomes 40000).  The reference never applies
 * it; here it is applied if, read back as hex, it is a Linux domain with known flags.  Words that
 * cannot be told that way, as those with a digit above 9, stand in our own image, as do those of
 * threads that differ from the main one.
 */
#include <sys/personality.h>

#include "task/aspect.h"
#include "task/core.h"
#include "task/extras.h"

extern const struct aspect personality_aspect;

enum {
	KNOWN_FLAGS = 0x0ffe0000, /* UNAME26 ... ADDR_LIMIT_3GB */
	KEEP = -1,
};

#define ASK 0xffffffffu /* changes nothing, returns the present one */

static bool to_image(uint32_t persona, uint32_t *ret)
{
	uint32_t value = 0;
	for (int shift = 28; shift >= 0; shift -= 4) {
		uint32_t digit = persona >> shift & 0xf;
		if (digit > 9)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return true;
}

/* The persona to set, or KEEP when the number makes no sense. */
static int64_t from_image(uint32_t value)
{
	uint32_t persona = 0;
	for (int shift = 0; value && shift < 32; shift += 4, value /= 10)
		persona |= value % 10 << shift;
	uint32_t domain = persona & PER_MASK, flags = persona & ~(uint32_t)PER_MASK;
	if (value || (domain != PER_LINUX && domain != PER_LINUX32) ||
		(flags & ~(uint32_t)KNOWN_FLAGS))
		return KEEP;
	return persona;
}

static int personality_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	int *step = *state = arena_new(&s->arena, int);
	*step = program_step(p, "read personality", NULL, SYS_personality, imm(ASK));
	return 0;
}

static int personality_store(
	struct session *s, struct thread *t, const struct program *p, void *state)
{
	uint32_t persona = (uint32_t)program_result(p, *(const int *)state);
	if (t->core->tc && !to_image(persona, &t->core->tc->personality))
		t->core->tc->personality = 0;
	if (from_image(core_tc(t)->personality) != persona) {
		extras_make(s, t)->has_personality = true;
		t->extras->personality = persona;
	}
	return 0;
}

static int personality_plan(struct session *s, struct thread *t, struct program *p)
{
	int64_t persona = extra_or(t, personality, from_image(core_tc(t)->personality));
	if (persona == KEEP) {
		log_warn(s, "pid %d: personality %u of the image makes no sense and is not applied",
			t->task->vpid, core_tc(t)->personality);
		return 0;
	}
	if (persona != personality(ASK))
		program_step(p, "set personality",
			arena_printf(&s->arena, "%08llx", (unsigned long long)persona),
			SYS_personality, imm((uint64_t)persona));
	return 0;
}

const struct aspect personality_aspect = {
	.name = "personality",
	.collect = personality_collect,
	.store = personality_store,
	.plan = personality_plan,
};
