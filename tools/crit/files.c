/* Where crit reads from and writes to. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crit.h"
#include "image/dir.h"

/* A copy of what cannot be read twice, such as a pipe. */
static int copy_stream(struct session *s, int from, const char *label, int *ret_fd)
{
	_cleanup_close_ int fd = memfd_create("crit", MFD_CLOEXEC);
	char buffer[65536];
	ssize_t n;
	if (fd < 0)
		return fail(s, errno, "copy %s", label);
	while ((n = read(from, buffer, sizeof(buffer))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || write(fd, buffer, (size_t)n) != n)
			return fail(s, errno, "read %s", label);
	}
	lseek(fd, 0, SEEK_SET);
	*ret_fd = take_fd(&fd);
	return 0;
}

int crit_open_input(struct crit *c, int *ret_fd, const char **ret_label)
{
	*ret_label = c->in ? c->in : "standard input";
	_cleanup_close_ int fd =
		c->in ? open(c->in, O_RDONLY | O_CLOEXEC) : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(c->s, errno, "%s", *ret_label);
	if (S_ISDIR(st.st_mode))
		return fail_remedy(c->s, EISDIR, "name one of its images", "%s", *ret_label);
	/* A file that was read from before, as in (read; crit decode) < f, begins where it is. */
	if (!S_ISREG(st.st_mode) || lseek(fd, 0, SEEK_CUR) != 0)
		return copy_stream(c->s, fd, *ret_label, ret_fd);
	*ret_fd = take_fd(&fd);
	return 0;
}

int crit_open_image(struct crit *c, struct image_reader *r)
{
	const char *label;
	int fd, err = crit_open_input(c, &fd, &label);
	if (err < 0)
		return err;
	const char *slash = strrchr(label, '/');
	struct image_dir *dir = arena_new(&c->s->arena, struct image_dir);
	dir->path = slash ? arena_printf(&c->s->arena, "%.*s", (int)(slash - label), label) : ".";
	return image_reader_identify(c->s, r, fd, dir, slash ? slash + 1 : label);
}

int crit_open_output(struct crit *c, FILE **ret)
{
	*ret = c->out ? fopen(c->out, "we") : stdout;
	return *ret ? 0 : fail(c->s, errno, "%s", c->out);
}

/* All of it is in the stream before the first failure counts, so that a reader sees how far it got.
 */
int crit_close_output(struct crit *c, FILE *out, int err)
{
	bool lost = fflush(out) != 0 || ferror(out);
	int cause = errno;
	if (out != stdout)
		fclose(out);
	if (err >= 0 && lost)
		err = fail(c->s, cause, "write %s", c->out ? c->out : "standard output");
	/* Not a device, nor a link such as /dev/stdout. */
	struct stat st;
	if (err < 0 && c->out && lstat(c->out, &st) == 0 && S_ISREG(st.st_mode))
		unlink(c->out);
	return err;
}
