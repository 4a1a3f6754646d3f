/* fermata-files.img: what the reference's entries of files.img have no field for. */
#ifndef FERMATA_FILE_FILE_EXTRAS_H
#define FERMATA_FILE_FILE_EXTRAS_H

#include "fermata.pb-c.h"

struct file_dump;
struct dumped_file;
struct file_set;
struct file_view;
struct open_file;

/* Dump: the record of a file, made at the first request. Ask only with something to put in. */
FermataFileEntry *file_extra_make(struct file_dump *d, struct dumped_file *f);

/* Owner and mode of its inode, unless they are those of one that root makes (and usual_mode). */
void file_extra_keep_owner(
	struct file_dump *d, const struct file_view *v, struct dumped_file *f, unsigned usual_mode);
/* Restore: gives them to what fd is, if the record of o has any. */
int file_extra_give_owner(struct file_set *f, const struct open_file *o, int fd);

/* At the end of a dump: the records of all files that have one, or no image. */
int file_extras_write(struct file_dump *d);

/* The value of an optional field of an open file's record, or what its absence stands for. */
#define file_extra_or(o, field, absent) \
	((o)->extra && (o)->extra->has_##field ? (o)->extra->field : (absent))

/* After files.img: sets open_file.extra. The image may be missing, or belong to another dump. */
int file_extras_load(struct file_set *f);

#endif
