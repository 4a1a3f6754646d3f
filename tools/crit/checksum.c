/* crit checksum DIR: the checksums that dump --checksum writes, of the images as they are now. */
#include "crit.h"
#include "image/checksum.h"
#include "image/dir.h"

int crit_checksum(struct crit *c)
{
	struct session *s = c->s;
	int r = image_dir_open(s, c->dir, &s->images);
	if (r >= 0)
		r = image_unlink(s, s->images, IMG_FERMATA_CHECKSUMS, 0);
	return r < 0 ? r : checksums_write(s, /* last= */ NULL);
}
