/*
 * Page contents: pagemap-*.img says which pages, pages-*.img holds them in the same order.
 *
 * The offset of an entry's data is implied: the pages of all PRESENT entries before it.
 * Addresses are of the task, or offsets into the segment for shared memory.
 */
#ifndef FERMATA_IMAGE_PAGEMAP_H
#define FERMATA_IMAGE_PAGEMAP_H

#include <stddef.h>
#include <stdint.h>

#include "image/codec.h"

enum page_flags {
	PE_PARENT = 1 << 0,  /* the contents are in the parent dump */
	PE_LAZY = 1 << 1,    /* may be served on demand */
	PE_PRESENT = 1 << 2, /* the contents are in the pages file */
};

/* The unit of nr_pages and of offsets in a pages file, in bytes. */
uint64_t image_page_size(void);

/*
 * Writes one pagemap and its pages file.  Entries are added in ascending order; the data goes
 * into the descriptor by whatever way is fastest, before or after, at the offset that adding
 * gave.  Between open and close the file may thus have holes; at close it must be complete.
 */
struct pages_writer {
	struct image_writer map;
	const struct image_dir *dir;
	uint32_t pages_id;
	int fd;			  /* of the pages file; -1 until pages_writer_fd() */
	uint64_t size;		  /* bytes of the pages file spoken for */
	uint64_t end;		  /* address where the last entry ends */
	uint64_t vaddr, nr_pages; /* the entry that may still grow; none if nr_pages is 0 */
	uint32_t flags;
};

void pages_writer_release(struct pages_writer *w);
#define _cleanup_pages_writer_ _cleanup_(pages_writer_release)
#define PAGES_WRITER_NONE                          \
	{                                          \
		.map = IMAGE_WRITER_NONE, .fd = -1 \
	}

/* type is IMG_PAGEMAP or IMG_PAGEMAP_SHMEM. Takes the next pages id of the directory. */
int pages_writer_open(struct session *s, struct pages_writer *w, struct image_dir *dir,
	enum image_type type, uint64_t id);
/* The same with an id that was taken before. */
int pages_writer_open_as(struct session *s, struct pages_writer *w, const struct image_dir *dir,
	enum image_type type, uint64_t id, uint32_t pages_id);

/*
 * Adds pages that follow all earlier ones. flags are of enum page_flags. ret_offset may be NULL;
 * with PE_PRESENT it gets where in the pages file their data belongs.
 */
int pages_writer_add(struct session *s, struct pages_writer *w, uint64_t vaddr, uint64_t nr_pages,
	uint32_t flags, uint64_t *ret_offset);

/* The pages file, created now if need be. Stays the writer's; open until close. */
int pages_writer_fd(struct session *s, struct pages_writer *w, int *ret_fd);

/*
 * Completes the pagemap. Fails when the pages file is not exactly as long as its entries say.
 * A stale pages file is removed when no page was written.
 */
int pages_writer_close(struct session *s, struct pages_writer *w);

struct pagemap_range {
	uint64_t vaddr, nr_pages;
	uint32_t flags;	 /* enum page_flags */
	uint64_t offset; /* in the pages file; meaningful with PE_PRESENT */
};

/* A loaded pagemap: ranges ascend, do not overlap and are not empty. */
struct pagemap {
	uint32_t pages_id;
	uint64_t pages_size; /* bytes of the pages file that the ranges cover */
	const struct pagemap_range *ranges;
	size_t n;
};

/*
 * Loads and checks a pagemap, and that its pages file is long enough. Returns -ENOENT, without
 * a failure, when the pagemap is missing.
 */
int pagemap_load(struct session *s, const struct image_dir *dir, enum image_type type, uint64_t id,
	struct pagemap *ret);

/*
 * The range that holds vaddr, else the first one after it, else NULL.
 * Ranges from there on are ret .. map->ranges + map->n.
 */
const struct pagemap_range *pagemap_find(const struct pagemap *map, uint64_t vaddr);

/* The pages file of a loaded pagemap; a descriptor, or -ENOENT without a failure. */
int pagemap_open_pages(
	struct session *s, const struct image_dir *dir, const struct pagemap *map, int flags);

#endif
