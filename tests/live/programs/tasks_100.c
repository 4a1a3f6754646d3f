/*
 * A hundred tasks with the same mapped files: the file table of the images lists each file once.
 * PROVES: F125
 * BETWEEN: ! find $DIR -name files.img -size +40k | grep .
 */
#include "crowd.h"

int main(int argc, char **argv)
{
	struct crowd c;

	setup(argc, argv);
	crowd_start(&c, 100);
	park();
	crowd_finish(&c);
	ok();
}
