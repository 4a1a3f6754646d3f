/*
 * Open files: a live child's are dumped and read back. Descriptors of stubs are for the live tests;
 * here it is what is refused, what is written, and what a restore notices before it begins.
 */
#include <errno.h>

#include "test_proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/options.h"
#include "file/dump.h"
#include "base/id_map.h"
#include "file/restore.h"
#include "image/codec.h"

struct fixture {
	struct session s;
	struct options opt;
	struct tree tree;
	struct task *t;
	char dir[64]; /* working files; images in dir/images */
};

static char *in_dir(struct fixture *x, const char *name)
{
	return arena_printf(&x->s.arena, "%s/%s", x->dir, name);
}

static void make_file(struct fixture *x, const char *name, const char *text)
{
	int fd = open(in_dir(x, name), O_CREAT | O_TRUNC | O_WRONLY, 0644);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void fresh_session(struct fixture *x)
{
	struct options opt = x->opt;
	if (x->s.images)
		image_dir_close(x->s.images);
	session_release(&x->s);
	session_init(&x->s);
	x->opt = opt;
	x->s.opt = &x->opt;
	x->tree = (struct tree){0};
	assert_int_equal(image_dir_open(&x->s, in_dir(x, "images"), &x->s.images), 0);
}

static void add_task(struct fixture *x, pid_t pid)
{
	x->t = task_new(&x->s, &x->tree, NULL, pid);
	thread_new(&x->s, x->t, pid);
	x->t->ids = arena_new(&x->s.arena, TaskKobjIdsEntry);
	task_kobj_ids_entry__init(x->t->ids);
	x->t->ids->files_id = x->t->ids->fs_id = 2;
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	strcpy(x->dir, "/tmp/fermata-file.XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	session_init(&x->s);
	options_init(&x->opt);
	assert_int_equal(mkdir(in_dir(x, "images"), 0755), 0);
	fresh_session(x);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", x->dir);
	assert_int_equal(system(command), 0);
	image_dir_close(x->s.images);
	session_release(&x->s);
	free(x);
	return 0;
}

/* A child with only what open_files() opened, waiting to be killed. */
static void with_child(struct fixture *x, void (*open_files)(struct fixture *x))
{
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ready[1], 100);
		close_range(0, 99, 0);
		close_range(101, ~0u, 0);
		open_files(x);
		if (write(100, "", 1) != 1)
			_exit(1);
		close(100);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	add_task(x, pid);
}

static void end_child(const struct fixture *x)
{
	kill(x->t->pid, SIGKILL);
	waitpid(x->t->pid, NULL, 0);
}

/* The dump without the steps inside the task. */
static void dump_child(struct fixture *x, bool dry)
{
	struct file_dump *d;
	struct program p;
	program_init(&p, &x->s, "test");
	assert_int_equal(file_dump_begin(&x->s, &x->tree, dry, &d), 0);
	assert_int_equal(file_dump_read(&x->s, x->t), 0);
	if (!dry) {
		file_dump_collect(x->t, &p);
		assert_int_equal(file_dump_take(x->t, &p), 0);
	}
	assert_int_equal(file_dump_store(d, x->t), 0);
	if (!x->s.blockers.n)
		assert_int_equal(file_dump_finish(d), 0);
	else
		file_dump_undo(d);
	end_child(x);
}

static int load(struct fixture *x, struct file_set **ret)
{
	pid_t pid = x->t->pid;
	fresh_session(x);
	add_task(x, pid);
	int r = file_load(&x->s, &x->tree, ret);
	return r < 0 ? r : recall(&x->s);
}

static bool blocked_by(const struct fixture *x, const char *text)
{
	vec_for_each (&x->s.blockers, b)
		if (strstr(b->message, text))
			return true;
	return false;
}

/* --- the map --- */

static void map_holds_what_was_put(void **state)
{
	struct session *s = &((struct fixture *)*state)->s;
	struct id_map m = {0};
	int values[1000];
	assert_null(id_map_get(&m, 7));
	for (uint64_t i = 0; i < 1000; i++)
		id_map_put(&s->arena, &m, i << 20, &values[i]);
	for (uint64_t i = 0; i < 1000; i++)
		assert_ptr_equal(id_map_get(&m, i << 20), &values[i]);
	assert_null(id_map_get(&m, 1));
	id_map_put(&s->arena, &m, 0, &values[5]);
	assert_ptr_equal(id_map_get(&m, 0), &values[5]);
	assert_int_equal(m.n, 1000);
}

/* --- what is refused --- */

static void open_refused(struct fixture *x)
{
	char large[8192] = "x";
	if (eventfd(0, 0) < 0 || socket(AF_VSOCK, SOCK_STREAM, 0) < 0)
		_exit(1);
	int fd = open(in_dir(x, "large"), O_CREAT | O_RDWR, 0600);
	for (int i = 0; i < 4; i++)
		if (write(fd, large, sizeof(large)) < 0)
			_exit(1);
	unlink(in_dir(x, "large"));
	open(in_dir(x, "linked"), O_CREAT | O_RDWR, 0600);
	link(in_dir(x, "linked"), in_dir(x, "other"));
	unlink(in_dir(x, "linked"));
}

static void blockers_name_object_and_option(void **state)
{
	struct fixture *x = *state;
	x->opt.ghost_limit = 4096;
	with_child(x, open_refused);
	dump_child(x, /* dry= */ true);
	assert_true(blocked_by(x, "fd 1: a vsock socket"));
	assert_true(blocked_by(x, "large (deleted) holds 32768 bytes"));
	assert_true(blocked_by(x, "the name "));
	bool limit = false, link_option = false;
	vec_for_each (&x->s.blockers, b) {
		assert_int_equal(b->pid, x->t->pid);
		limit |= b->remedy && strstr(b->remedy, "--ghost-limit 32768");
		link_option |= b->remedy && strstr(b->remedy, "--link-remap");
	}
	assert_true(limit && link_option);
	assert_int_equal(access(in_dir(x, "images/files.img"), F_OK), -1);
}

/* --- what comes back --- */

static void open_ordinary(struct fixture *x)
{
	char buf[3];
	int p[2];
	int fd = open(in_dir(x, "file"), O_RDONLY); /* 0 */
	dup(fd);				    /* 1: the same open file */
	open(in_dir(x, "file"), O_RDONLY);	    /* 2: another, at the same position */
	lseek(fd, 0, SEEK_SET);
	open(in_dir(x, "odd (deleted)"), O_CREAT | O_RDWR, 0600); /* 3: is called so */
	fd = open(in_dir(x, "ghost"), O_CREAT | O_RDWR, 0640);	  /* 4 */
	if (write(fd, "gone", 4) != 4 || unlink(in_dir(x, "ghost")) || pipe(p) ||
		write(p[1], "queued", 6) != 6 || read(p[0], buf, 3) != 3)
		_exit(1);
	fd = memfd_create("m", MFD_ALLOW_SEALING); /* 7 */
	if (ftruncate(fd, 12288) || pwrite(fd, "page two", 8, 4096) != 8 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW))
		_exit(1);
}

static void dump_ordinary(struct fixture *x)
{
	make_file(x, "file", "content");
	with_child(x, open_ordinary);
	dump_child(x, /* dry= */ false);
	assert_int_equal(x->s.blockers.n, 0);
}

static uint32_t id_of_fd(struct fixture *x, uint32_t fd)
{
	ProtobufCMessage **all;
	size_t n;
	assert_int_equal(image_read_all(&x->s, IMG_FDINFO, 2, &all, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (((FdinfoEntry *)all[i])->fd == fd)
			return ((FdinfoEntry *)all[i])->id;
	return 0;
}

static void same_open_file_same_id(void **state)
{
	struct fixture *x = *state;
	dump_ordinary(x);
	assert_int_equal(id_of_fd(x, 0), id_of_fd(x, 1));
	assert_int_not_equal(id_of_fd(x, 0), id_of_fd(x, 2));
}

static void contents_come_back(void **state)
{
	struct fixture *x = *state;
	struct file_set *f;
	char buf[16] = {0};
	int fd;
	dump_ordinary(x);
	assert_int_equal(load(x, &f), 0);
	assert_int_equal(file_free_number(f, -1), 8);
	assert_int_equal(file_free_number(f, 8), 9);
	assert_int_equal(file_open(f, id_of_fd(x, 4), O_RDONLY, &fd), 0);
	assert_int_equal(read(fd, buf, 16), 4);
	assert_memory_equal(buf, "gone", 4);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	close(fd);
	assert_int_equal(file_open(f, id_of_fd(x, 7), O_RDWR, &fd), 0);
	assert_int_equal(pread(fd, buf, 8, 4096), 8);
	assert_memory_equal(buf, "page two", 8);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 12288);
	close(fd);
	assert_int_equal(file_open(f, id_of_fd(x, 3), O_RDONLY, &fd), 0);
	close(fd);
	assert_false(file_is_mappable(f, id_of_fd(x, 5)));
	assert_int_equal(file_restore_finish(f), 0);
	file_restore_done(f);
	assert_int_equal(fstatat(AT_FDCWD, in_dir(x, "ghost.cr.1.ghost"), &st, 0), -1);
}

/* --- what is noticed before anything is forked --- */

static void changed_size_fails(void **state)
{
	struct fixture *x = *state;
	struct file_set *f;
	dump_ordinary(x);
	make_file(x, "file", "longer content");
	assert_int_equal(load(x, &f), -EINVAL);
	assert_non_null(strstr(x->s.failure.message, "14 bytes now, 7 at the dump"));
}

static void changed_mode_fails_unless_told(void **state)
{
	struct fixture *x = *state;
	struct file_set *f;
	dump_ordinary(x);
	chmod(in_dir(x, "file"), 0600);
	assert_int_equal(load(x, &f), -EINVAL);
	assert_non_null(strstr(x->s.failure.remedy, "--skip-file-rwx-check"));
	x->opt.skip_file_rwx_check = true;
	assert_int_equal(load(x, &f), 0);
	file_restore_undo(f);
}

static void missing_files_fail(void **state)
{
	struct fixture *x = *state;
	struct file_set *f;
	dump_ordinary(x);
	unlink(in_dir(x, "odd (deleted)"));
	assert_int_equal(load(x, &f), -ENOENT);
	assert_non_null(strstr(x->s.failure.message, "fd 3"));
	make_file(x, "odd (deleted)", "");
	unlink(in_dir(x, "images/ghost-file-1.img"));
	assert_int_equal(load(x, &f), -ENOENT);
	assert_non_null(strstr(x->s.failure.message, "ghost-file-1.img"));
}

static void cut_images_fail(void **state)
{
	struct fixture *x = *state;
	static const char *const images[] = {
		"files", "fdinfo-2", "ghost-file-1", "memfd", "pipes-data", "remap-fpath"};
	dump_ordinary(x);
	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		struct stat st;
		struct file_set *f;
		char *path = arena_printf(&x->s.arena, "%s/images/%s.img", x->dir, images[i]);
		path = strdup(path);
		assert_int_equal(stat(path, &st), 0);
		char *saved = malloc((size_t)st.st_size);
		int fd = open(path, O_RDWR);
		assert_int_equal(read(fd, saved, (size_t)st.st_size), st.st_size);
		for (off_t len = st.st_size - 1; len > 0; len--) {
			assert_int_equal(ftruncate(fd, len), 0);
			if (load(x, &f) == 0)
				file_restore_undo(f);
		}
		assert_int_equal(pwrite(fd, saved, (size_t)st.st_size, 0), st.st_size);
		close(fd);
		free(saved);
		free(path);
	}
	struct file_set *f;
	assert_int_equal(load(x, &f), 0);
	file_restore_undo(f);
}

#define with_files(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_files(map_holds_what_was_put),
		with_files(blockers_name_object_and_option),
		with_files(same_open_file_same_id),
		with_files(contents_come_back),
		with_files(changed_size_fails),
		with_files(changed_mode_fails_unless_told),
		with_files(missing_files_fail),
		with_files(cut_images_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
