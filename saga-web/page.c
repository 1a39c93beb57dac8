/* page.c - the files of saga-web/page/, put into the program by the assembler.
 */
#include "saga-web/page.h"

#include <string.h>

/* clang-format off */
#define PAGE_FILE(name, file)                                                  \
    __asm__(".section .rodata\n"                                               \
            ".global page_" #name "_begin\n.global page_" #name "_end\n"       \
            "page_" #name "_begin:\n.incbin \"saga-web/page/" file "\"\n"      \
            "page_" #name "_end:\n.byte 0\n.previous\n");                      \
    extern const unsigned char page_##name##_begin[], page_##name##_end[]
/* clang-format on */

PAGE_FILE(html, "index.html");
PAGE_FILE(css, "page.css");
PAGE_FILE(main, "main.js");
PAGE_FILE(shop, "shop.js");
PAGE_FILE(lanes, "lanes.js");
PAGE_FILE(panels, "panels.js");
PAGE_FILE(orders, "orders.js");
PAGE_FILE(trace, "trace.js");

static const char script[] = "text/javascript; charset=utf-8";

static const struct page_file files[] = {
    {"/", "text/html; charset=utf-8", page_html_begin, page_html_end},
    {"/page.css", "text/css; charset=utf-8", page_css_begin, page_css_end},
    {"/main.js", script, page_main_begin, page_main_end},
    {"/shop.js", script, page_shop_begin, page_shop_end},
    {"/lanes.js", script, page_lanes_begin, page_lanes_end},
    {"/panels.js", script, page_panels_begin, page_panels_end},
    {"/orders.js", script, page_orders_begin, page_orders_end},
    {"/trace.js", script, page_trace_begin, page_trace_end},
};

const struct page_file *page_find(const char *path)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}
