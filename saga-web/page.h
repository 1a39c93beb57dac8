/* page.h - the files of the page, which are part of the program. */
#ifndef PAGE_H
#define PAGE_H

#include <stddef.h>

enum { PAGE_BYTES_MAX = 80 * 1024 }; /* of all files: tests/test_web.sh */

struct page_file {
    const char *path, *type;
    const unsigned char *begin, *end;
};

/* The file that @path, of a request, means.  NULL: none. */
const struct page_file *page_find(const char *path);

#endif
