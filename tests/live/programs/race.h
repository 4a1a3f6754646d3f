/*
 * What the targets of the races share: workers that do something as fast as they can until they are
 * told to end, each with a beat that the driver sees (tests/live/races.py).
 *
 * The page DIR/ctl is mapped by all of a tree.  Its words from BEAT_AT on are the beats: every
 * worker's must go on after every dump and every restore.  `stolen_ns` is the time that the driver
 * knows to lie between dumps for good and their restores, which timers do not count.
 */
#ifndef RACE_H
#define RACE_H

#include "check.h"
#include <pthread.h>

enum { BEATS = 32, ABOVE_CTL = 128 };

static struct race_page {
	struct ctl ctl;
	uint8_t pad[ABOVE_CTL - sizeof(struct ctl)];
	volatile uint64_t stolen_ns;
	volatile uint64_t n_beats;
	uint8_t pad2[256 - ABOVE_CTL - 16];
	volatile uint64_t beat[BEATS];
} * race UNUSED;

static UNUSED void race_setup(int argc, char **argv)
{
	setup(argc, argv);
	race = (struct race_page *)map_ctl();
}

static UNUSED bool racing(void)
{
	return !race->ctl.release;
}

/* A beat of one's own, in the order of the calls. */
static UNUSED int race_join(void)
{
	int i = (int)__atomic_fetch_add(&race->n_beats, 1, __ATOMIC_SEQ_CST);

	NEED(i < BEATS);
	return i;
}

static UNUSED void race_beat(int i)
{
	__atomic_fetch_add(&race->beat[i], 1, __ATOMIC_RELAXED);
}

/* All workers have begun. */
static UNUSED void race_ready(void)
{
	for (uint64_t i = 0; i < race->n_beats; i++)
		while (!race->beat[i])
			nap_ms(1);
	race->ctl.armed = 1;
}

static UNUSED uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static UNUSED pthread_t race_thread(void *(*body)(void *), long arg)
{
	pthread_t t;

	NEED(!pthread_create(&t, NULL, body, (void *)arg));
	return t;
}

static UNUSED int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	NEED(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
