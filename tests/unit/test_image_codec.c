/* The codec on files it wrote, and on damaged ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.pb-c.h"
#include "file.pb-c.h"
#include "image/codec.h"
#include "image/stats.h"
#include "image_test.h"
#include "inventory.pb-c.h"
#include "ipc.pb-c.h"
#include "pipe.pb-c.h"
#include "stats.pb-c.h"

static PstreeEntry pstree_of(uint32_t pid)
{
	PstreeEntry entry = PSTREE_ENTRY__INIT;
	entry.pid = entry.pgid = entry.sid = pid;
	return entry;
}

static void write_pstree(struct image_test *t, uint32_t n)
{
	_cleanup_image_writer_ struct image_writer w;
	image_writer_init(&w, t->s.images, IMG_PSTREE, 0);
	for (uint32_t pid = 1; pid <= n; pid++) {
		PstreeEntry entry = pstree_of(pid);
		assert_int_equal(image_write(&t->s, &w, &entry.base), 0);
	}
	assert_int_equal(image_writer_close(&t->s, &w), 0);
}

static void records_come_back(void **state)
{
	struct image_test *t = *state;
	enum { N = 200000 }; /* more than the writer buffers and the reader's window holds */
	write_pstree(t, N);
	ProtobufCMessage **all;
	size_t n;
	assert_int_equal(image_read_all(&t->s, IMG_PSTREE, 0, &all, &n), 0);
	assert_int_equal(n, N);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(((PstreeEntry *)all[i])->pid, i + 1);
}

static void one_record(void **state)
{
	struct image_test *t = *state;
	ProtobufCMessage *m = NULL;
	assert_int_equal(image_read_one(&t->s, IMG_PSTREE, 0, &m), -ENOENT);
	assert_int_equal(t->s.failure.err, 0);
	write_pstree(t, 1);
	assert_int_equal(image_read_one(&t->s, IMG_PSTREE, 0, &m), 0);
	write_pstree(t, 2);
	m = NULL;
	assert_int_equal(image_read_one(&t->s, IMG_PSTREE, 0, &m), -EBADMSG);
	assert_null(m);
	assert_failure(t, "pstree.img: offset 20: more than the one record");
}

static void headers(void **state)
{
	struct image_test *t = *state;
	InventoryEntry inventory = INVENTORY_ENTRY__INIT;
	inventory.img_version = 2;
	assert_int_equal(image_write_one(&t->s, IMG_INVENTORY, 0, &inventory.base), 0);
	size_t len;
	char *data = image_test_slurp(t, "inventory.img", &len);
	assert_memory_equal(data, "\x16\x31\x31\x58\x02\0\0\0\x08\x02", 10);
	free(data);
	struct stat st;
	mode_t mask = umask(0);
	umask(mask);
	assert_int_equal(fstatat(t->s.images->fd, "inventory.img", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644 & ~mask);

	/* img_version 1: no common magic */
	image_test_put(
		t, "pstree.img", "\x30\x30\x27\x50\x08\0\0\0\x08\x07\x10\0\x18\x07\x20\x07", 16);
	ProtobufCMessage *m;
	assert_int_equal(image_read_one(&t->s, IMG_PSTREE, 0, &m), 0);
	assert_int_equal(((PstreeEntry *)m)->pid, 7);
}

static void stale_files_go(void **state)
{
	struct image_test *t = *state;
	image_test_put(t, "filelocks.img", "old", 3);
	struct image_writer w;
	image_writer_init(&w, t->s.images, IMG_FILE_LOCKS, 0);
	assert_int_equal(image_writer_close(&t->s, &w), 0);
	assert_false(image_test_has(t, "filelocks.img"));

	image_writer_init(&w, t->s.images, IMG_FDINFO, 3);
	assert_false(image_test_has(t, "fdinfo-3.img"));
	assert_int_equal(image_writer_close(&t->s, &w), 0);
	size_t len;
	char *data = image_test_slurp(t, "fdinfo-3.img", &len);
	assert_int_equal(len, 8);
	free(data);
}

/* Every prefix of a file either ends between records or is refused. */
static void truncation(void **state)
{
	struct image_test *t = *state;
	write_pstree(t, 2);
	size_t len;
	char *data = image_test_slurp(t, "pstree.img", &len);
	size_t record = (len - 8) / 2;
	for (size_t cut = 0; cut < len; cut++) {
		image_test_put(t, "pstree.img", data, cut);
		t->s.failure = (struct failure){0};
		ProtobufCMessage **all = NULL;
		size_t n;
		int err = image_read_all(&t->s, IMG_PSTREE, 0, &all, &n);
		if (cut == 8 || cut == 8 + record) {
			assert_int_equal(err, 0);
			continue;
		}
		assert_int_equal(err, -EBADMSG);
		assert_null(all);
		assert_failure(t, "pstree.img: offset");
	}
	free(data);
}

static void bad_magic(void **state)
{
	struct image_test *t = *state;
	ProtobufCMessage *m;
	image_test_put(t, "pstree.img", "\x19\x43\x56\x54\x47\x38\x05\x55\0\0\0\0", 12);
	assert_int_equal(image_read_one(&t->s, IMG_PSTREE, 0, &m), -EBADMSG);
	assert_failure(t, "pstree.img: magic is 55053847, expected 50273030");
}

static void giant_record(void **state)
{
	struct image_test *t = *state;
	ProtobufCMessage *m;
	image_test_put(
		t, "pstree.img", "\x19\x43\x56\x54\x30\x30\x27\x50\xff\xff\xff\xff\x08\x01", 14);
	assert_int_equal(image_read_one(&t->s, IMG_PSTREE, 0, &m), -EBADMSG);
	assert_failure(t, "offset 8: record of 4294967295 bytes, the file ends after 2");
}

static void missing_required_field(void **state)
{
	struct image_test *t = *state;
	ProtobufCMessage *m;
	image_test_put(t, "pstree.img", "\x19\x43\x56\x54\x30\x30\x27\x50\x02\0\0\0\x08\x01", 14);
	assert_int_equal(image_read_one(&t->s, IMG_PSTREE, 0, &m), -EBADMSG);
	assert_failure(t, "is not a pstree_entry");
}

static void pipe_payload(void **state)
{
	struct image_test *t = *state;
	_cleanup_image_writer_ struct image_writer w;
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	image_writer_init(&w, t->s.images, IMG_PIPES_DATA, 0);
	PipeDataEntry entry = PIPE_DATA_ENTRY__INIT;
	entry.bytes = 5;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(image_write(&t->s, &w, &entry.base), 0);
		int fd; /* one payload straight into the file, one through the buffer */
		assert_int_equal(image_writer_fd(&t->s, &w, &fd), 0);
		if (i)
			assert_int_equal(image_write_payload(&t->s, &w, "hello", 5, 1), 0);
		else
			assert_int_equal(write(fd, "salut", 5), 5);
	}
	assert_int_equal(image_writer_close(&t->s, &w), 0);

	ProtobufCMessage *m;
	const void *data;
	size_t len;
	assert_int_equal(image_reader_open(&t->s, &r, t->s.images, IMG_PIPES_DATA, 0), 0);
	assert_int_equal(image_read(&t->s, &r, &m), 1);
	assert_int_equal(image_read(&t->s, &r, &m), 1);
	assert_int_equal(image_read_payload(&t->s, &r, 5, &data, &len), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(data, "hello", 5);
	assert_int_equal(image_read_payload(&t->s, &r, 4, &data, &len), -EFBIG);
	assert_int_equal(image_read(&t->s, &r, &m), 0);

	entry.bytes = UINT32_MAX;
	assert_int_equal(image_write_one(&t->s, IMG_FIFO_DATA, 0, &entry.base), 0);
	t->s.failure = (struct failure){0};
	assert_int_equal(image_read_one(&t->s, IMG_FIFO_DATA, 0, &m), -EBADMSG);
	assert_failure(t, "fifo-data.img: offset 20: 4294967295 bytes of payload due");
}

static void ghost_chunks(void **state)
{
	struct image_test *t = *state;
	_cleanup_image_writer_ struct image_writer w;
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	image_writer_init(&w, t->s.images, IMG_GHOST_FILE, 0x1f);
	GhostFileEntry ghost = GHOST_FILE_ENTRY__INIT;
	ghost.has_chunks = ghost.chunks = true;
	GhostChunkEntry chunk = GHOST_CHUNK_ENTRY__INIT;
	assert_int_equal(image_write(&t->s, &w, &ghost.base), 0);
	for (chunk.len = 1; chunk.len < 4; chunk.len++) {
		assert_int_equal(image_write(&t->s, &w, &chunk.base), 0);
		assert_int_equal(image_write_payload(&t->s, &w, "abc", chunk.len, 1), 0);
	}
	assert_int_equal(image_writer_close(&t->s, &w), 0);
	assert_true(image_test_has(t, "ghost-file-1f.img"));

	ProtobufCMessage *m;
	assert_int_equal(image_reader_open(&t->s, &r, t->s.images, IMG_GHOST_FILE, 0x1f), 0);
	assert_int_equal(image_read(&t->s, &r, &m), 1);
	assert_int_equal(r.payload.len, 0);
	for (uint64_t len = 1; len < 4; len++) {
		assert_int_equal(image_read(&t->s, &r, &m), 1);
		assert_ptr_equal(m->descriptor, &ghost_chunk_entry__descriptor);
		assert_int_equal(r.payload.len, len);
	}
	assert_int_equal(image_read(&t->s, &r, &m), 0);
}

static void ipc_messages(void **state)
{
	struct image_test *t = *state;
	_cleanup_image_writer_ struct image_writer w;
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	image_writer_init(&w, t->s.images, IMG_IPC_MSG, 9);
	IpcDescEntry desc = IPC_DESC_ENTRY__INIT;
	IpcMsgEntry queue = IPC_MSG_ENTRY__INIT;
	IpcMsg msg = IPC_MSG__INIT;
	queue.desc = &desc;
	queue.qnum = 2;
	assert_int_equal(image_write(&t->s, &w, &queue.base), 0);
	for (msg.msize = 3; msg.msize < 5; msg.msize++) {
		assert_int_equal(image_write(&t->s, &w, &msg.base), 0);
		assert_int_equal(image_write_payload(&t->s, &w, "text", msg.msize, 8), 0);
	}
	queue.qnum = 1; /* and that message is missing */
	assert_int_equal(image_write(&t->s, &w, &queue.base), 0);
	assert_int_equal(image_writer_close(&t->s, &w), 0);

	ProtobufCMessage *m;
	assert_int_equal(image_reader_open(&t->s, &r, t->s.images, IMG_IPC_MSG, 9), 0);
	assert_int_equal(image_read(&t->s, &r, &m), 1);
	assert_int_equal(image_read(&t->s, &r, &m), 1);
	assert_int_equal(r.payload.len, 3);
	assert_int_equal(r.payload.stored, 8);
	assert_int_equal(image_read(&t->s, &r, &m), 1);
	assert_int_equal(((IpcMsg *)m)->msize, 4);
	assert_int_equal(image_read(&t->s, &r, &m), 1);
	assert_ptr_equal(m->descriptor, &ipc_msg_entry__descriptor);
	assert_int_equal(image_read(&t->s, &r, &m), -EBADMSG);
	assert_failure(t, "ends before the last message");
}

/* cgroup_dir_entry in cgroup_dir_entry in ...: refused before it costs stack. */
static void deep_nesting(void **state)
{
	struct image_test *t = *state;
	enum { LEVELS = 5000, ROOM = LEVELS * 12 };
	uint8_t *at = malloc(ROOM) + (size_t)ROOM, *end = at;
	for (int level = 0; level < LEVELS; level++) {
		size_t len = (size_t)(end - at);
		*--at = (uint8_t)(len >> 14 & 0x7f); /* the length, as a varint of three bytes */
		*--at = (uint8_t)(len >> 7 | 0x80);
		*--at = (uint8_t)(len | 0x80);
		*--at = 2 << 3 | 2; /* `controllers`, `dirs`, `children`: all are field 2 */
	}
	ProtobufCMessage *m;
	assert_int_equal(image_unpack(&t->s, &cgroup_entry__descriptor, at, (size_t)(end - at), &m),
		-EBADMSG);
	free(end - ROOM);
}

static void names(void **state)
{
	(void)state;
	char name[IMAGE_NAME_MAX];
	for (int i = 0; i < N_IMAGE_TYPES; i++) {
		image_name((enum image_type)i, 0xabcdef, name);
		enum image_type type;
		uint64_t id;
		assert_true(image_parse_name(name, &type, &id));
		if (i != IMG_OLD_PAGES)
			assert_int_equal(type, i);
		assert_true(id == 0 || id == 0xabcdef);
	}
	enum image_type type;
	uint64_t id;
	assert_false(image_parse_name("core-.img", &type, &id));
	assert_false(image_parse_name("core--1.img", &type, &id));
	assert_false(image_parse_name("core-1.imgx", &type, &id));
	assert_false(image_parse_name("ghost-file-G.img", &type, &id));
}

static void statistics(void **state)
{
	struct image_test *t = *state;
	t->s.stats.pages_written = 77;
	t->s.stats.restore_us = 12;
	assert_int_equal(chdir(t->path), 0);
	assert_int_equal(stats_write_dump(&t->s), 0);
	assert_int_equal(stats_write_restore(&t->s), 0);
	ProtobufCMessage *m;
	assert_int_equal(image_read_one(&t->s, IMG_STATS_DUMP, 0, &m), 0);
	assert_int_equal(((StatsEntry *)m)->dump->pages_written, 77);
	assert_int_equal(image_read_one(&t->s, IMG_STATS_RESTORE, 0, &m), 0);
	assert_int_equal(((StatsEntry *)m)->restore->restore_time, 12);
	assert_int_equal(chdir("/"), 0);
}

#define IMAGE_TEST(fn) cmocka_unit_test_setup_teardown(fn, image_test_setup, image_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMAGE_TEST(records_come_back),
		IMAGE_TEST(one_record),
		IMAGE_TEST(headers),
		IMAGE_TEST(stale_files_go),
		IMAGE_TEST(truncation),
		IMAGE_TEST(bad_magic),
		IMAGE_TEST(giant_record),
		IMAGE_TEST(missing_required_field),
		IMAGE_TEST(pipe_payload),
		IMAGE_TEST(ghost_chunks),
		IMAGE_TEST(ipc_messages),
		IMAGE_TEST(deep_nesting),
		IMAGE_TEST(names),
		IMAGE_TEST(statistics),
	};
	return cmocka_run_group_tests_name("image codec", tests, NULL, NULL);
}
