/*
 * State of open files without a place in the reference's images: fermata-files.img.
 *
 * Like fermata-<pid>.img (task/extras.c): the reference does not look at it, a restore without it
 * gives what the reference would, and each record names the run it belongs to, because the image
 * may be left over from an earlier dump when the reference has overwritten the rest.  One record
 * for each file that has something to put in, by its id.
 */
#include "file/file_extras.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "file/dumping.h"
#include "file/restoring.h"

FermataFileEntry *file_extra_make(struct file_dump *d, struct dumped_file *f)
{
	if (!f->extra) {
		f->extra = arena_new(&d->s->arena, FermataFileEntry);
		fermata_file_entry__init(f->extra);
		f->extra->id = f->id;
		f->extra->run_id = d->s->run_id;
	}
	return f->extra;
}

void file_extra_keep_owner(
	struct file_dump *d, const struct file_view *v, struct dumped_file *f, unsigned usual_mode)
{
	const struct statx *st = &v->st;
	unsigned mode = st->stx_mode & 07777;
	if (!st->stx_uid && !st->stx_gid && mode == usual_mode)
		return;
	FermataFileEntry *extra = file_extra_make(d, f);
	extra->has_inode_uid = extra->has_inode_gid = extra->has_inode_mode = true;
	extra->inode_uid = st->stx_uid;
	extra->inode_gid = st->stx_gid;
	extra->inode_mode = mode;
}

int file_extra_give_owner(struct file_set *f, const struct open_file *o, int fd)
{
	const FermataFileEntry *x = o->extra;
	struct stat st;
	if (!x || !x->has_inode_uid || !x->has_inode_gid || !x->has_inode_mode)
		return 0;
	int r = fstat(fd, &st);
	if (r == 0 && (st.st_uid != x->inode_uid || st.st_gid != x->inode_gid))
		r = fchown(fd, x->inode_uid, x->inode_gid);
	if (r == 0 && (st.st_mode & 07777) != x->inode_mode)
		r = fchmod(fd, x->inode_mode);
	return r < 0 ? fail(f->s, errno, "%s: make it one of user %u, group %u, mode %o",
			       open_file_label(f, o), x->inode_uid, x->inode_gid, x->inode_mode)
		     : 0;
}

int file_extras_write(struct file_dump *d)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, d->s->images, IMG_FERMATA_FILES, 0);
	vec_for_each (&d->files, f) {
		int r = (*f)->extra ? image_write(d->s, &w, &(*f)->extra->base) : 0;
		if (r < 0)
			return r;
	}
	return image_writer_close(d->s, &w);
}

int file_extras_load(struct file_set *f)
{
	ProtobufCMessage **all;
	size_t n;
	int r = image_read_all(f->s, IMG_FERMATA_FILES, 0, &all, &n);
	for (size_t i = 0; i < n && r >= 0; i++) {
		const FermataFileEntry *e = (const FermataFileEntry *)all[i];
		if (!f->tree->run_id || strcmp(e->run_id, f->tree->run_id) != 0) {
			log_info(f->s, "fermata-files.img is of another dump and is not used");
			return 0;
		}
		struct open_file *o = file_find(f, e->id);
		if (!o)
			return fail(f->s, EBADMSG, "fermata-files.img: file %u is not in files.img",
				e->id);
		o->extra = e;
	}
	return r;
}
