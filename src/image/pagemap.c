/* Loading pagemaps, whose entries must ascend and whose data must exist. */
#include "image/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "mem.pb-c.h"

/* Releases before 4.2 left out nr_pages, very old ones flags. */
static struct pagemap_range range_of(const PagemapEntry *entry)
{
	struct pagemap_range range = {.vaddr = entry->vaddr};
	range.nr_pages = entry->has_nr_pages ? entry->nr_pages : entry->compat_nr_pages;
	if (entry->has_flags)
		range.flags = entry->flags;
	else
		range.flags = entry->has_in_parent && entry->in_parent ? PE_PARENT : PE_PRESENT;
	return range;
}

static int fail_entry(
	struct session *s, const struct image_reader *r, uint64_t vaddr, const char *what)
{
	return fail(s, EBADMSG, "%s/%s: entry %ju (address %jx): %s", r->dir->path, r->name,
		(uintmax_t)r->n_records - 1, (uintmax_t)vaddr, what);
}

/* Reads the entries behind the head and adds up the data they claim. */
static int load_ranges(struct session *s, struct image_reader *r, struct pagemap *map)
{
	const uint64_t page = image_page_size();
	VEC(struct pagemap_range) ranges = {0};
	uint64_t end = 0;
	ProtobufCMessage *m;
	int more;
	while ((more = image_read(s, r, &m)) > 0) {
		struct pagemap_range range = range_of((PagemapEntry *)m);
		uint64_t bytes;
		if (__builtin_mul_overflow(range.nr_pages, page, &bytes) ||
			bytes > UINT64_MAX - range.vaddr)
			return fail_entry(s, r, range.vaddr, "reaches beyond the address space");
		if (range.vaddr % page)
			return fail_entry(s, r, range.vaddr, "is not page-aligned");
		if (range.vaddr < end)
			return fail_entry(s, r, range.vaddr, "does not follow the entry before");
		if (!range.flags || range.flags & ~(uint32_t)(PE_PARENT | PE_LAZY | PE_PRESENT))
			return fail_entry(s, r, range.vaddr, "has unknown flags");
		if (!range.nr_pages)
			continue;
		end = range.vaddr + bytes;
		range.offset = map->pages_size;
		if (range.flags & PE_PRESENT &&
			__builtin_add_overflow(map->pages_size, bytes, &map->pages_size))
			return fail_entry(s, r, range.vaddr, "claims more data than fits a file");
		*vec_push(&s->arena, &ranges) = range;
	}
	map->ranges = ranges.v;
	map->n = ranges.n;
	return more;
}

/* Holes punched by auto-dedup keep the length, so it can be relied on. */
static int check_pages(struct session *s, const struct image_dir *dir, const struct pagemap *map)
{
	char name[IMAGE_NAME_MAX];
	image_name(IMG_PAGES, map->pages_id, name);
	struct stat st;
	if (fstatat(dir->fd, name, &st, 0) < 0)
		/* Not ENOENT: that would read as "no pagemap". */
		return fail(s, errno == ENOENT ? EBADMSG : errno,
			"%s/%s with %ju bytes of memory is missing", dir->path, name,
			(uintmax_t)map->pages_size);
	if ((uint64_t)st.st_size < map->pages_size)
		return fail(s, EBADMSG, "%s/%s: %ju bytes, the pagemap names %ju", dir->path, name,
			(uintmax_t)st.st_size, (uintmax_t)map->pages_size);
	return 0;
}

int pagemap_load(struct session *s, const struct image_dir *dir, enum image_type type, uint64_t id,
	struct pagemap *ret)
{
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	int err = image_reader_open(s, &r, dir, type, id);
	if (err < 0)
		return err;
	if (r.fd < 0)
		return -ENOENT;
	ProtobufCMessage *head;
	err = image_read(s, &r, &head);
	if (err < 0)
		return err;
	if (err == 0)
		return fail(s, EBADMSG, "%s/%s: no head", dir->path, r.name);
	struct pagemap map = {.pages_id = ((PagemapHead *)head)->pages_id};
	err = load_ranges(s, &r, &map);
	if (err < 0)
		return err;
	err = map.pages_size ? check_pages(s, dir, &map) : 0;
	if (err < 0)
		return err;
	*ret = map;
	return 0;
}

const struct pagemap_range *pagemap_find(const struct pagemap *map, uint64_t vaddr)
{
	const uint64_t page = image_page_size();
	size_t low = 0, high = map->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct pagemap_range *range = &map->ranges[middle];
		if (range->vaddr + range->nr_pages * page <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < map->n ? &map->ranges[low] : NULL;
}

int pagemap_open_pages(
	struct session *s, const struct image_dir *dir, const struct pagemap *map, int flags)
{
	return image_open_raw_at(s, dir, IMG_PAGES, map->pages_id, flags);
}
