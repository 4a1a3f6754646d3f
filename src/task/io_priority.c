/*
 * I/O priority of a thread: ioprio_set(2), class in bits 13 to 15.
 *
 * Read from outside, kept in our own image.  Class "none" is an unset priority, whatever the rest
 * says (before Linux 5.18 it reads as level 4); a set one is inherited, from the controller too.
 */
#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/extras.h"

extern const struct aspect io_priority_aspect;

enum { WHO_PROCESS = 1, CLASS_SHIFT = 13 };

/* 0 = unset */
static uint32_t io_priority_of(pid_t tid)
{
	long value = syscall(SYS_ioprio_get, WHO_PROCESS, tid);
	return value > 0 && value >> CLASS_SHIFT ? (uint32_t)value : 0;
}

static int io_priority_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	uint32_t value = io_priority_of(t->tid);
	if (value) {
		extras_make(s, t)->has_io_priority = true;
		t->extras->io_priority = value;
	}
	return 0;
}

static int io_priority_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	uint32_t want = extra_or(t, io_priority, 0);
	if (want != io_priority_of(0))
		program_try(p, "I/O priority", SYS_ioprio_set, imm(WHO_PROCESS), imm(0), imm(want));
	return 0;
}

const struct aspect io_priority_aspect = {
	.name = "I/O priority",
	.read = io_priority_read,
	.plan = io_priority_plan,
};
