/* What is queued in pipes and FIFOs (pipes-data.img, fifo-data.img). Internal to src/file. */
#ifndef FERMATA_FILE_PIPE_DATA_H
#define FERMATA_FILE_PIPE_DATA_H

#include "file/dumping.h"
#include "file/restoring.h"

/* At the end of the dump, once per pipe, through an end that can be read from. */
void pipe_data_collect(struct file_dump *d, const struct file_view *v, bool is_fifo);

struct pipe_record {
	uint32_t len;
	uint64_t offset; /* in its image */
};

/* One pipe or FIFO of the images and all its ends. */
struct pipe_group {
	uint32_t pipe_id;
	VEC(struct open_file *) ends;
	VEC(struct pipe_record) queue; /* a record for each packet, or one for all bytes */
	uint32_t size;		       /* capacity; 0: the kernel's default */
	bool filled;
};

/* The group of that id, new if need be. */
struct pipe_group *pipe_group_of(struct file_set *f, struct id_map *groups, uint32_t pipe_id);

/* Sets the capacity and writes what was queued into an end that can be written to. */
int pipe_data_restore(struct file_set *f, struct pipe_group *g, int image, int writer);

/* What that does, for --explain. */
void pipe_data_explain(struct pipe_group *g);

#endif
