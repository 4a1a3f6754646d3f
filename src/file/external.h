/*
 * Objects that reach outside the tree: --external and --inherit-fd (spec/cli.md 7 and 8).
 *
 * Dump: external_find() tells whether the user named an object, so that it is left out.
 * Restore: a type that has inherit_key() names each of its files; where --inherit-fd gives a
 * descriptor for that name, it stands in o->inherited and takes the place of the file.
 */
#ifndef FERMATA_FILE_EXTERNAL_H
#define FERMATA_FILE_EXTERNAL_H

#include <stdbool.h>

struct session;
struct options;
struct file_set;
struct open_file;

/* Before anything else, for dump and restore: keys of unknown or unbuilt type, bad numbers. */
int external_check(struct session *s);

/*
 * Whether --external has this TYPE[ID], of those that have it the last. What the user put after
 * "]:" goes to *ret_value, "" if nothing; may be NULL.
 */
bool external_find(const struct options *opt, const char **ret_value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Restore. Reads --inherit-fd; duplicate keys are refused. */
int inherit_load(struct file_set *f);
/* Our descriptor for this key, -1: none. It stays ours: dup or open it again. */
int inherit_find(struct file_set *f, const char *key);
/* Warns of descriptors that nothing asked for. */
void inherit_warn_unused(struct file_set *f);

/* The file itself, as a close-on-exec descriptor. */
int inherit_dup(struct file_set *f, const struct open_file *o, int *ret_fd);
/* Opened anew with these flags, or the file itself if it is of a kind that cannot be (a socket). */
int inherit_reopen(struct file_set *f, const struct open_file *o, int from, int flags, int *ret_fd);

#endif
