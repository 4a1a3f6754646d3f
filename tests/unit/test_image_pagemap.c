/* Writing and loading page images. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "image/pagemap.h"
#include "image_test.h"
#include "mem.pb-c.h"

enum { BASE = 0x100000 };

static uint64_t at(uint64_t page)
{
	return BASE + page * image_page_size();
}

static void entries_merge(void **state)
{
	struct image_test *t = *state;
	const uint64_t page = image_page_size();
	_cleanup_pages_writer_ struct pages_writer w = PAGES_WRITER_NONE;
	uint64_t offset;
	int fd;
	assert_int_equal(pages_writer_open(&t->s, &w, t->s.images, IMG_PAGEMAP, 5), 0);
	assert_int_equal(pages_writer_add(&t->s, &w, at(0), 2, PE_PRESENT, &offset), 0);
	assert_int_equal(offset, 0);
	assert_int_equal(pages_writer_add(&t->s, &w, at(2), 3, PE_PRESENT, &offset), 0);
	assert_int_equal(offset, 2 * page);
	assert_int_equal(pages_writer_add(&t->s, &w, at(5), 1, PE_PARENT, NULL), 0);
	assert_int_equal(pages_writer_add(&t->s, &w, at(6), 1, PE_PRESENT | PE_LAZY, &offset), 0);
	assert_int_equal(offset, 5 * page);
	assert_int_equal(pages_writer_add(&t->s, &w, at(9), 1, PE_PRESENT | PE_LAZY, NULL), 0);
	assert_false(image_test_has(t, "pages-1.img"));
	assert_int_equal(pages_writer_fd(&t->s, &w, &fd), 0);
	assert_int_equal(ftruncate(fd, (off_t)(7 * page)), 0);
	assert_int_equal(pages_writer_close(&t->s, &w), 0);

	static const struct {
		uint64_t first, n, offset;
		uint32_t flags;
	} expected[] = {{0, 5, 0, PE_PRESENT}, {5, 1, 5, PE_PARENT},
		{6, 1, 5, PE_PRESENT | PE_LAZY}, {9, 1, 6, PE_PRESENT | PE_LAZY}};
	struct pagemap map;
	assert_int_equal(pagemap_load(&t->s, t->s.images, IMG_PAGEMAP, 5, &map), 0);
	assert_int_equal(map.n, 4);
	assert_int_equal(map.pages_size, 7 * page);
	for (size_t i = 0; i < map.n; i++) {
		assert_int_equal(map.ranges[i].vaddr, at(expected[i].first));
		assert_int_equal(map.ranges[i].nr_pages, expected[i].n);
		assert_int_equal(map.ranges[i].flags, expected[i].flags);
		assert_int_equal(map.ranges[i].offset, expected[i].offset * page);
	}
	assert_ptr_equal(pagemap_find(&map, 0), &map.ranges[0]);
	assert_ptr_equal(pagemap_find(&map, at(4)), &map.ranges[0]);
	assert_ptr_equal(pagemap_find(&map, at(7)), &map.ranges[3]);
	assert_null(pagemap_find(&map, at(10)));
}

static void no_pages(void **state)
{
	struct image_test *t = *state;
	struct pages_writer w;
	image_test_put(t, "pages-1.img", "stale", 5);
	assert_int_equal(pages_writer_open(&t->s, &w, t->s.images, IMG_PAGEMAP_SHMEM, 5), 0);
	assert_int_equal(pages_writer_close(&t->s, &w), 0);
	assert_false(image_test_has(t, "pages-1.img"));
	struct pagemap map;
	assert_int_equal(pagemap_load(&t->s, t->s.images, IMG_PAGEMAP_SHMEM, 5, &map), 0);
	assert_int_equal(map.n, 0);
	assert_int_equal(map.pages_id, 1);
	assert_int_equal(pagemap_load(&t->s, t->s.images, IMG_PAGEMAP, 6, &map), -ENOENT);
	assert_int_equal(t->s.failure.err, 0);
}

static void writer_mistakes(void **state)
{
	struct image_test *t = *state;
	struct pages_writer w;
	assert_int_equal(pages_writer_open(&t->s, &w, t->s.images, IMG_PAGEMAP, 5), 0);
	assert_int_equal(pages_writer_add(&t->s, &w, at(3), 2, PE_PRESENT, NULL), 0);
	assert_int_equal(pages_writer_add(&t->s, &w, at(4), 2, PE_PRESENT, NULL), -EINVAL);
	assert_failure(t, "pagemap-5.img: pages at");
	t->s.failure = (struct failure){0};
	assert_int_equal(pages_writer_close(&t->s, &w), -EIO);
	assert_failure(t, "pages-1.img: 0 bytes were written");
	assert_false(image_test_has(t, "pagemap-5.img"));
}

static void put_pagemap(struct image_test *t, const PagemapEntry *entries, size_t n)
{
	_cleanup_image_writer_ struct image_writer w;
	image_writer_init(&w, t->s.images, IMG_PAGEMAP, 5);
	PagemapHead head = PAGEMAP_HEAD__INIT;
	head.pages_id = 3;
	assert_int_equal(image_write(&t->s, &w, &head.base), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(image_write(&t->s, &w, &entries[i].base), 0);
	assert_int_equal(image_writer_close(&t->s, &w), 0);
}

static void old_entries(void **state)
{
	struct image_test *t = *state;
	PagemapEntry entries[] = {PAGEMAP_ENTRY__INIT, PAGEMAP_ENTRY__INIT};
	entries[0].vaddr = at(0);
	entries[0].compat_nr_pages = 1;
	entries[1].vaddr = at(1);
	entries[1].compat_nr_pages = 4;
	entries[1].has_in_parent = entries[1].in_parent = true;
	put_pagemap(t, entries, 2);
	char *data = calloc(1, image_page_size());
	image_test_put(t, "pages-3.img", data, image_page_size());
	free(data);
	struct pagemap map;
	assert_int_equal(pagemap_load(&t->s, t->s.images, IMG_PAGEMAP, 5, &map), 0);
	assert_int_equal(map.n, 2);
	assert_int_equal(map.ranges[0].flags, PE_PRESENT);
	assert_int_equal(map.ranges[1].flags, PE_PARENT);
	assert_int_equal(map.ranges[1].nr_pages, 4);
}

static void refused(
	struct image_test *t, uint64_t vaddr, uint64_t nr_pages, uint32_t flags, const char *why)
{
	PagemapEntry entries[] = {PAGEMAP_ENTRY__INIT, PAGEMAP_ENTRY__INIT};
	entries[0].vaddr = at(0);
	entries[0].has_nr_pages = entries[1].has_nr_pages = true;
	entries[0].has_flags = entries[1].has_flags = true;
	entries[0].nr_pages = 2;
	entries[0].flags = PE_PARENT;
	entries[1].vaddr = vaddr;
	entries[1].nr_pages = nr_pages;
	entries[1].flags = flags;
	put_pagemap(t, entries, 2);
	t->s.failure = (struct failure){0};
	struct pagemap map;
	assert_int_equal(pagemap_load(&t->s, t->s.images, IMG_PAGEMAP, 5, &map), -EBADMSG);
	assert_failure(t, why);
}

static void damaged(void **state)
{
	struct image_test *t = *state;
	refused(t, at(1), 1, PE_PARENT, "does not follow");
	refused(t, at(5) + 1, 1, PE_PARENT, "not page-aligned");
	refused(t, at(5), UINT64_MAX, PE_PARENT, "beyond the address space");
	refused(t, at(5), UINT64_MAX / image_page_size(), PE_PARENT, "beyond the address space");
	refused(t, at(5), 1, 0, "unknown flags");
	refused(t, at(5), 1, 8, "unknown flags");
	refused(t, at(5), 1, PE_PRESENT, "pages-3.img");
	image_test_put(t, "pages-3.img", "short", 5);
	refused(t, at(5), 1, PE_PRESENT, "5 bytes, the pagemap names");
}

#define IMAGE_TEST(fn) cmocka_unit_test_setup_teardown(fn, image_test_setup, image_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMAGE_TEST(entries_merge),
		IMAGE_TEST(no_pages),
		IMAGE_TEST(writer_mistakes),
		IMAGE_TEST(old_entries),
		IMAGE_TEST(damaged),
	};
	return cmocka_run_group_tests_name("page images", tests, NULL, NULL);
}
