/* Any directory of images (set.h), up to where a restore would fork. */
#include "set.h"

#include <stdlib.h>
#include <string.h>

static struct set_dir dir;

static void remove_dir(void)
{
	set_dir_remove(&dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!*dir.path) {
		set_dir_make(&dir);
		atexit(remove_dir);
	}
	set_dir_fill(&dir, data, size);
	set_restore(dir.path);
	return 0;
}
