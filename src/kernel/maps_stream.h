/*
 * The text of maps or smaps, parsed as it comes; for proc_maps.c and vma_list.c.
 *
 * Thousands of VMAs make megabytes of smaps: whole lines are parsed out of a buffer that stays in
 * the cache. A line is shorter than a page: d_path() makes its name in one.
 */
#ifndef FERMATA_KERNEL_MAPS_STREAM_H
#define FERMATA_KERNEL_MAPS_STREAM_H

#include <stddef.h>
#include <sys/types.h>

#include "kernel/proc_maps.h"

enum { MAPS_CHUNK = 16 * 1024 }; /* seq_file gives a page at a time */

struct maps_stream {
	struct session *s;
	int fd;
	vma_info_vec *out;
	size_t n_before;  /* VMAs of others in it */
	size_t have, had; /* bytes in text, and parsed before */
	char *text;	  /* MAPS_CHUNK bytes */
};

/* Until the end, or until so many bytes were parsed. */
int maps_stream_parse(struct maps_stream *st, size_t until);

/* Records why parsing the file of that name failed, if it did; returns err. */
int maps_read_failed(struct session *s, pid_t pid, const char *name, int err);

#endif
