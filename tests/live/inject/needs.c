/* An object that cannot be loaded: nobody has this function. */
int missing(void);
int calls_missing(void)
{
	return missing();
}
