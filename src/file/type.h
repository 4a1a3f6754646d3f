/*
 * A type of open file: how it is told apart, dumped and made again.
 *
 * One entry of file_types[] (type_table.c) per type, each in a file of its own that holds both
 * directions; docs/howto-add-a-resource.md shows how to add one.  Hooks return 0 or a negative
 * errno with the failure recorded; any but recognize, collect, check and create may be NULL.
 *
 * Dump, for each descriptor that was not met before:
 *	recognize  is it one of ours? The first entry that says yes gets it.
 *	collect    reads it into f->detail; block() if it cannot be dumped. Contents are for later:
 *		   see file_dump_later().
 *	complete   once, after all descriptors of all tasks, before the verdict
 *	key	   optional, for anonymous files: differs between open files, or else kcmp(2) has to
 *		   tell them apart; called before collect, for every descriptor
 * Restore:
 *	check      before anything is forked: is the entry sane, is what it names there?
 *	create     opens it in the controller; flags, signal and position are set by the caller
 *	           unless sets_flags says otherwise
 *	inherit_key  the name by which --inherit-fd may replace the file; see file/external.h
 *	install    once all tables are complete, in the task that holds it: appends steps
 *	finish     last, in the controller: only registers are missing, and nothing else will be
 *	           opened, made or removed. What must not begin to count or watch any earlier.
 *	           fd is the open file, still the caller's.
 *	drain      likewise, when nothing can fail any more and the last traces of the restore
 *	           are removed, before the tasks run
 */
#ifndef FERMATA_FILE_TYPE_H
#define FERMATA_FILE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fdinfo.pb-c.h"

struct file_dump;
struct file_view;
struct dumped_file;
struct file_set;
struct open_file;
struct fd_slot;
struct program;

struct file_type {
	FdTypes type;
	const char *name; /* "pipe": for messages */
	const char *restored; /* what of it: for docs/support.md */
	const char *limits;   /* what is refused, or needs an option; NULL: nothing */
	size_t detail;	  /* offset in FileEntry of the pointer to this type's message; 0: none */
	bool sets_flags;  /* create() does all that open flags ask for */
	/* check() and create() look at o->inherited themselves; otherwise they are not called, and
	   the inherited file is used as it is */
	bool inherits_itself;

	bool (*recognize)(struct file_dump *d, const struct file_view *v);
	int (*collect)(struct file_dump *d, struct file_view *v, struct dumped_file *f);
	uint64_t (*key)(struct file_dump *d, struct file_view *v);
	int (*complete)(struct file_dump *d);

	int (*check)(struct file_set *set, struct open_file *o);
	const char *(*inherit_key)(struct file_set *set, const struct open_file *o);
	int (*create)(struct file_set *set, struct open_file *o, int *ret_fd);
	int (*install)(struct file_set *set, struct open_file *o, const struct fd_slot *slot,
		struct program *p);
	int (*finish)(struct file_set *set, struct open_file *o, int fd);
	void (*drain)(struct file_set *set, struct open_file *o, int fd);
};

/* In order of recognition; ends with NULL. */
extern const struct file_type *const file_types[];

const struct file_type *file_type_of(FdTypes type);

#endif
