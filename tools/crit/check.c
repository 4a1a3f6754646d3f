/*
 * crit check DIR: are the images of a checkpoint whole, and do they fit together?
 *
 * What says so is the very code that a restore begins with, before it does anything: the first line
 * is what the restore would say.  What more is damaged in single files follows, so that not only
 * the first is known.  Whether the files and PIDs are to be had on this machine is no matter here:
 * `restore --explain` tells.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cli/log.h"
#include "cli/options.h"
#include "crit.h"
#include "image/dir.h"
#include "restore/restore.h"

struct check {
	struct session *s;
	const char *first; /* what a restore says; NULL: nothing */
	size_t n_images, n_records, n_damaged;
};

static void damage(struct check *k, const char *text)
{
	if (!k->first || strcmp(text, k->first) != 0)
		printf(k->first ? "%s\n" : "%s (no restore reads this)\n", text);
	k->n_damaged++;
}

static void check_image(struct check *k, enum image_type type, uint64_t id)
{
	struct session *s = k->s;
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	ProtobufCMessage *m;
	int more = image_reader_open(s, &r, s->images, type, id);
	while (more >= 0 && (more = image_read(s, &r, &m)) > 0)
		k->n_records++;
	if (more < 0)
		damage(k, failure_text(s, more));
	s->failure = (struct failure){0};
	k->n_images++;
}

/* Every file that is an image by its name. */
static int check_files(struct check *k)
{
	_cleanup_close_ int fd = fcntl(k->s->images->fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_dir_ DIR *d = fdopendir(fd);
	if (!d)
		return fail(k->s, errno, "read the directory %s", k->s->images->path);
	fd = -1;
	rewinddir(d);
	int err = 0;
	for (struct dirent *e; (e = next_entry(d, &err));) {
		enum image_type type;
		uint64_t id;
		if (image_parse_name(e->d_name, &type, &id) && image_kind(type)->record)
			check_image(k, type, id);
	}
	return err < 0 ? fail(k->s, err, "read the directory %s", k->s->images->path) : 0;
}

int crit_check(struct crit *c)
{
	struct session *s = c->s;
	struct options options;
	struct check k = {.s = s};
	options_init(&options);
	options.file_locks = true; /* or they would not be looked at */
	s->opt = &options;
	s->log.level = LOG_ERROR; /* warnings are of a restore on this machine */
	int err = image_dir_open(s, c->dir, &s->images);
	if (err < 0)
		return err;
	err = restore_check_images(s);
	if (err < 0) {
		k.first = failure_text(s, err);
		puts(k.first);
	}
	s->failure = (struct failure){0};
	int listed = check_files(&k);
	if (listed < 0)
		return listed;
	if (err < 0)
		return fail(s, EBADMSG, "%s cannot be restored", c->dir);
	if (!k.n_damaged)
		printf("%s: %zu images with %zu records are whole and fit together\n", c->dir,
			k.n_images, k.n_records);
	return 0;
}
