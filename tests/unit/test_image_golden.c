/* Every image the reference wrote is read and written back to the same bytes. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/codec.h"
#include "image/pagemap.h"
#include "image_test.h"

static void copy_payload(struct image_test *t, struct image_reader *r, struct image_writer *w)
{
	size_t len = (size_t)r->payload.stored;
	char *data = malloc(len + 1);
	assert_int_equal(pread(r->fd, data, len, (off_t)r->payload.offset), len);
	assert_int_equal(image_write_payload(&t->s, w, data, len, 1), 0);
	free(data);
}

static void copy_image(
	struct image_test *t, const struct image_dir *from, enum image_type type, uint64_t id)
{
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	_cleanup_image_writer_ struct image_writer w;
	assert_int_equal(image_reader_open(&t->s, &r, from, type, id), 0);
	image_writer_init(&w, t->s.images, type, id);
	ProtobufCMessage *m;
	int more;
	while ((more = image_read(&t->s, &r, &m)) > 0) {
		assert_int_equal(m->n_unknown_fields, 0);
		assert_int_equal(image_write(&t->s, &w, m), 0);
		copy_payload(t, &r, &w);
	}
	if (more < 0)
		fail_msg("%s", t->s.failure.message);
	assert_int_equal(image_writer_close(&t->s, &w), 0);
}

static void assert_same(const struct image_test *t, const struct image_dir *from, const char *name)
{
	struct image_test original = {.s = {.images = (struct image_dir *)from}};
	size_t len, original_len;
	char *ours = image_test_slurp(t, name, &len);
	char *theirs = image_test_slurp(&original, name, &original_len);
	assert_non_null(ours);
	if (len != original_len || memcmp(ours, theirs, len) != 0)
		fail_msg("%s/%s differs when written back", from->path, name);
	free(ours);
	free(theirs);
}

static void check_pagemap(
	struct image_test *t, const struct image_dir *from, enum image_type type, uint64_t id)
{
	struct pagemap map;
	if (pagemap_load(&t->s, from, type, id, &map) < 0)
		fail_msg("%s", t->s.failure.message);
	for (size_t i = 0; i < map.n; i++)
		assert_ptr_equal(pagemap_find(&map, map.ranges[i].vaddr), &map.ranges[i]);
}

static unsigned check_set(struct image_test *t, const char *path)
{
	struct image_dir *from;
	assert_int_equal(image_dir_open(&t->s, path, &from), 0);
	unsigned n = 0;
	_cleanup_dir_ DIR *listing = opendir(path);
	assert_non_null(listing);
	for (struct dirent *entry; (entry = readdir(listing));) {
		enum image_type type;
		uint64_t id;
		if (entry->d_name[0] == '.')
			continue;
		if (!image_parse_name(entry->d_name, &type, &id))
			fail_msg("%s/%s is of no known type", path, entry->d_name);
		if (image_kind(type)->class == IMAGE_RAW)
			continue;
		copy_image(t, from, type, id);
		assert_same(t, from, entry->d_name);
		if (image_kind(type)->payload == PAYLOAD_PAGEMAP)
			check_pagemap(t, from, type, id);
		n++;
	}
	image_dir_close(from);
	return n;
}

static void golden_sets(void **state)
{
	struct image_test *t = *state;
	const char *shared = shared_dir();
	if (!shared)
		skip();
	char sets[4096], path[8192];
	snprintf(sets, sizeof(sets), "%s/golden/sets", shared);
	_cleanup_dir_ DIR *listing = opendir(sets);
	assert_non_null(listing);
	unsigned n = 0;
	for (struct dirent *entry; (entry = readdir(listing));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/images", sets, entry->d_name);
		n += check_set(t, path);
	}
	print_message("%u images are the same after reading and writing\n", n);
	assert_true(n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(golden_sets, image_test_setup, image_test_teardown),
	};
	return cmocka_run_group_tests_name("image golden sets", tests, NULL, NULL);
}
