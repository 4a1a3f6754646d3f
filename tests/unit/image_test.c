/* Helpers of the image tests. */
#include "image_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/dir.h"

int image_test_setup(void **state)
{
	struct image_test *t = calloc(1, sizeof(*t));
	session_init(&t->s);
	snprintf(t->path, sizeof(t->path), "/tmp/fermata-image-XXXXXX");
	if (!mkdtemp(t->path) || image_dir_open(&t->s, t->path, &t->s.images) < 0)
		return -1;
	*state = t;
	return 0;
}

static void empty_directory(int fd)
{
	DIR *dir = fdopendir(dup(fd));
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
}

int image_test_teardown(void **state)
{
	struct image_test *t = *state;
	empty_directory(t->s.images->fd);
	rmdir(t->path);
	image_dir_close(t->s.images);
	session_release(&t->s);
	free(t);
	return 0;
}

char *image_test_slurp(const struct image_test *t, const char *name, size_t *ret_len)
{
	int fd = openat(t->s.images->fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	char *data = malloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_len = (size_t)st.st_size;
	return data;
}

void image_test_put(const struct image_test *t, const char *name, const void *data, size_t len)
{
	int fd = openat(t->s.images->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
	t->s.images->was_empty = false;
}

int image_test_has(const struct image_test *t, const char *name)
{
	return faccessat(t->s.images->fd, name, F_OK, 0) == 0;
}

void assert_failure(const struct image_test *t, const char *text)
{
	assert_non_null(t->s.failure.message);
	if (!strstr(t->s.failure.message, text))
		fail_msg("\"%s\" does not mention \"%s\"", t->s.failure.message, text);
}

const char *shared_dir(void)
{
	const char *dir = getenv("FERMATA_SHARED");
	if (!dir)
		dir = SHARED_DIR;
	if (access(dir, R_OK | X_OK) == 0)
		return dir;
	print_message("skipped: no %s; set FERMATA_SHARED\n", dir);
	return NULL;
}
