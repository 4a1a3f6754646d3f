/* The build-id of ELF files, as a means to tell versions of a file apart. Internal to src/file. */
#ifndef FERMATA_FILE_BUILD_ID_H
#define FERMATA_FILE_BUILD_ID_H

#include "file/restoring.h"

/* Fails if the file at path has another build-id than the image says; having none is fine. */
int build_id_check(
	struct file_set *f, const struct open_file *o, const char *path, const struct stat *st);

#endif
