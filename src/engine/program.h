/*
 * A program: the list of system calls that a task shall make, with the data they take and give.
 *
 * Ordinary C code builds it without knowing where it will run; engine/channel.h loads it into a
 * task and plays it, engine/explain.h prints it.  Results stay readable by step number.
 *
 *	struct program p;
 *	program_init(&p, s, "pid 77");
 *	int fd = program_step(&p, "open", "images", SYS_openat, imm(AT_FDCWD), in_str(&p, path), imm(O_RDONLY));
 *	program_step(&p, "close", NULL, SYS_close, result_of(fd));
 *	r = channel_play(ch, &p);
 *	... program_result(&p, fd) ...
 *
 * A step that returns -errno ends the program with a failure that names the step, unless it was
 * marked with program_may_fail(); program_expect() demands one value.
 */
#ifndef FERMATA_ENGINE_PROGRAM_H
#define FERMATA_ENGINE_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/session.h"

enum arg_kind {
	ARG_VALUE,  /* a number, or an address in the task */
	ARG_RESULT, /* the result of an earlier step */
	ARG_BLOCK,  /* the task's address of a data block */
};

struct arg {
	enum arg_kind kind;
	uint32_t index; /* step or block */
	uint64_t value; /* number, or offset in the block */
};

struct step {
	const char *what;   /* "map", "open": static text */
	const char *object; /* "libc.so.6", NULL if the call says enough */
	uint32_t nr;
	uint32_t flags; /* enum agent_step_flags without the argument bits */
	struct arg arg[6];
	int64_t expect;
	int64_t result;
};

/* Data that goes to the task before its step runs, comes back after, or both. */
struct block {
	void *host;  /* controller memory, alive until the program is played */
	uint32_t len;
	bool to_task, from_task;
	bool has_links;
	uint32_t load;      /* number of the load that placed it last */
	uint64_t task_addr; /* where that was */
};

/* A pointer inside a block, e.g. msghdr.msg_iov: 8 bytes at offset get the address of target. */
struct reloc {
	uint32_t block, offset, target;
};

struct program {
	struct session *s;
	const char *about; /* "pid 77", "pid 77 thread 78" */
	VEC(struct step) steps;
	VEC(struct block) blocks;
	VEC(struct reloc) relocs;
	size_t n_played; /* steps before it have results */
	uint32_t n_loads;
};

void program_init(struct program *p, struct session *s, const char *about);

/* Room for so many steps and blocks in one that has none yet; it grows as it must anyway. */
void program_reserve(struct program *p, size_t n);

/* Forgets the steps (also their results) but keeps the room, for the next program of this kind. */
void program_reset(struct program *p);

static inline struct arg imm(uint64_t value)
{
	return (struct arg){.kind = ARG_VALUE, .value = value};
}

/* Only for negative numbers and ints that must be sign-extended, as AT_FDCWD. */
static inline struct arg simm(int64_t value)
{
	return (struct arg){.kind = ARG_VALUE, .value = (uint64_t)value};
}

static inline struct arg result_of(int step)
{
	return (struct arg){.kind = ARG_RESULT, .index = (uint32_t)step};
}

/* Data for the task; host must stay valid and unchanged until the program is played. */
struct arg in(struct program *p, const void *host, size_t len);
/* Same, with a copy of the data made now. */
struct arg in_copy(struct program *p, const void *host, size_t len);
struct arg in_str(struct program *p, const char *text);
/* Room the task fills; copied to host after the program was played up to its step. */
struct arg out(struct program *p, void *host, size_t len);
struct arg inout(struct program *p, void *host, size_t len);
/* The address `offset` bytes into the block of another argument. */
static inline struct arg inside(struct arg block, uint64_t offset)
{
	block.value += offset;
	return block;
}
/* Makes the 8 bytes at offset of block `from` point to block `to` when they are loaded. */
void program_link(struct program *p, struct arg from, size_t offset, struct arg to);

/* Appends a step and returns its number. */
int program_add(struct program *p, struct step step);
#define program_step(p, what_, object_, nr_, ...)                                                  \
	program_add((p),                                                                           \
		(struct step){.what = (what_),                                                     \
			.object = (object_),                                                       \
			.nr = (uint32_t)(nr_),                                                     \
			.arg = {__VA_ARGS__}})

/* -errno of this step does not end the program; read it with program_result(). */
int program_may_fail(struct program *p, int step);
/* The step must return exactly this. */
int program_expect(struct program *p, int step, int64_t result);

static inline int64_t program_result(const struct program *p, int step)
{
	return p->steps.v[step].result;
}

#endif
