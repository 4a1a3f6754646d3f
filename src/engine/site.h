/*
 * The site: where in a task the code lies that leads its threads back to their own life.
 *
 * That is the zero padding behind the vDSO, where no code lives: the leader's stub, then one exit
 * for each seat of the region (engine/guests.c).  Without a usable vDSO it is the start of some
 * executable mapping, put back afterwards.
 */
#ifndef FERMATA_ENGINE_SITE_H
#define FERMATA_ENGINE_SITE_H

#include "base/session.h"

enum { SITE_MAX = 2048 };

struct site {
	pid_t pid;
	int mem; /* /proc/PID/mem, or -1 */
	uint64_t addr;
	size_t n_seats, len;
	uint8_t saved[SITE_MAX]; /* what was there before */
	bool written;
	bool remains; /* stubs of a dump that was killed lie there */
};

/* vdso: start of the task's [vdso] mapping and its length, 0 when it has none. */
int site_open(struct session *s, struct site *site, pid_t pid, uint64_t vdso, uint64_t vdso_len);
int site_write(struct session *s, struct site *site, size_t offset, const void *bytes, size_t len);
/* Puts back what was there, if anything was written. */
int site_clear(struct session *s, struct site *site);
void site_close(struct site *site);
/*
 * Whether a thread that is at ip has not left yet what a killed dump has put into its task: a stub, or the
 * agent.  One that was stopped falls back into its stop there, and leaves when it is continued.
 */
bool site_holds(const struct site *site, uint64_t ip);

/* Offset of the exit of a seat; of [0] also the length of the leader's stub. */
size_t site_exit(size_t seat);

#endif
