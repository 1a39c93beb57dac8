/* power_cut.c - leaves the files of killed services as a power cut might have.
 *
 *   power_cut DIRECTORY SEED LOG...
 *
 * Each LOG says what one service did to its files (tests/crash/torn.h).  A
 * sector that was written since the last sync of its file is what it was made
 * last, or anything that it was before, back to what the sync made durable;
 * each sector by itself.  A file that grew may be shorter again.  SEED decides,
 * and first how kind this cut is: all is kept, most, half, little, nothing.
 *
 * Prints how many sectors were put back, and of how many that could have been.
 */
#include "../crash/torn.h"
#include "../must.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 256, KIND_OF_EIGHT = 8 };

/* A file in the directory; `fixed[i]`: sector i stays as it is now. */
static struct file {
    uint64_t device, inode;
    int fd;
    int64_t size, durable_size; /* the latter: -1 until it is known */
    int64_t durable_upto;       /* in the log of the one who writes it */
    bool *fixed;
    size_t sectors;
} files[FILES_MAX];
static size_t file_count;

static uint64_t state, keeps; /* of eight */
static unsigned long undone, open_to_it;

static int add_file(const char *path, const struct stat *status, int type,
                    struct FTW *where)
{
    struct file *file = &files[file_count];

    (void)where;
    if (type != FTW_F || !S_ISREG(status->st_mode))
        return 0;
    MUST(file_count < FILES_MAX);
    file_count++;
    *file = (struct file){.device = status->st_dev,
                          .inode = status->st_ino,
                          .fd = open(path, O_RDWR | O_CLOEXEC),
                          .size = status->st_size,
                          .durable_size = -1};
    MUST(file->fd >= 0);
    return 0;
}

static struct file *file_of(const struct torn_entry *entry)
{
    for (size_t i = 0; i < file_count; i++)
        if (files[i].inode == entry->inode && files[i].device == entry->device)
            return &files[i];
    return NULL; /* removed since */
}

static bool is_kept(void)
{
    return must_random(&state, KIND_OF_EIGHT) < keeps;
}

static bool *fixed_at(struct file *file, size_t sector)
{
    if (sector >= file->sectors) {
        size_t more = sector + 1024;

        file->fixed = realloc(file->fixed, more * sizeof *file->fixed);
        MUST(file->fixed != NULL);
        memset(file->fixed + file->sectors, 0,
               (more - file->sectors) * sizeof *file->fixed);
        file->sectors = more;
    }
    return &file->fixed[sector];
}

static void put_back(struct file *file, const uint8_t *old, int64_t at)
{
    int64_t count = file->size - at < SECTOR ? file->size - at : SECTOR;

    if (count > 0)
        MUST(pwrite(file->fd, old, (size_t)count, at) == count);
    undone++;
}

static void undo_write(struct file *file, const struct torn_entry *entry)
{
    const uint8_t *old = (const uint8_t *)(entry + 1);

    for (uint32_t i = 0; i < entry->bytes; i += SECTOR) {
        bool *fixed = fixed_at(file, (size_t)(entry->at + i) / SECTOR);

        open_to_it++;
        if (!*fixed && is_kept())
            *fixed = true;
        if (!*fixed)
            put_back(file, old + i, entry->at + i);
    }
}

/* What was cut off is there again, or stays away. */
static void undo_truncate(struct file *file, const struct torn_entry *entry)
{
    const uint8_t *old = (const uint8_t *)(entry + 1);

    open_to_it++;
    if (is_kept())
        return;
    MUST(ftruncate(file->fd, entry->size) == 0);
    file->size = entry->size;
    for (uint32_t i = 0; i < entry->bytes; i += SECTOR)
        put_back(file, old + i, entry->at + i);
}

/* From the last entry to the first, so that a sync is met before what it made
 * durable. */
static void undo(const uint8_t *log, const size_t at[], size_t count)
{
    while (count-- > 0) {
        const struct torn_entry *entry = (const void *)(log + at[count]);
        struct file *file = file_of(entry);

        if (file == NULL)
            continue;
        if (entry->kind == TORN_FORGET)
            file->durable_upto = INT64_MAX; /* what is older was another's */
        else if (entry->kind == TORN_SYNC && entry->upto > file->durable_upto)
            file->durable_upto = entry->upto;
        if (entry->kind >= TORN_SYNC || (int64_t)at[count] < file->durable_upto)
            continue;
        if (entry->kind == TORN_WRITE)
            undo_write(file, entry);
        else
            undo_truncate(file, entry);
        file->durable_size = entry->size;
    }
}

/* Where the entries begin; the last one may have been cut short. */
static size_t find_entries(const uint8_t *log, size_t bytes, size_t **at)
{
    size_t count = 0, room = 0;

    *at = NULL;
    for (size_t next = 0; next + sizeof(struct torn_entry) <= bytes;) {
        const struct torn_entry *entry = (const void *)(log + next);
        size_t end = next + sizeof *entry + entry->bytes;

        if (end > bytes)
            break;
        if (count == room) {
            room = room * 2 + 1024;
            *at = realloc(*at, room * sizeof **at);
            MUST(*at != NULL);
        }
        (*at)[count++] = next;
        next = end;
    }
    return count;
}

static void undo_log(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    uint8_t *log;
    size_t *at, count;

    if (fd < 0)
        return; /* it had not begun */
    MUST(fstat(fd, &status) == 0);
    if (status.st_size > 0) {
        log = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        MUST(log != MAP_FAILED);
        count = find_entries(log, (size_t)status.st_size, &at);
        undo(log, at, count);
        free(at);
        munmap(log, (size_t)status.st_size);
    }
    close(fd);
}

/* A file that grew has its new size, its old one, or one between them. */
static void shorten(struct file *file)
{
    int64_t more = file->size - file->durable_size;

    if (file->durable_size < 0 || more <= 0 || is_kept())
        return;
    more = (int64_t)must_random(&state, (uint64_t)more / SECTOR + 1) * SECTOR;
    MUST(ftruncate(file->fd, file->durable_size + more) == 0);
}

int main(int argc, char **argv)
{
    static const uint64_t kindness[] = {0, 1, 4, 4, 7, KIND_OF_EIGHT};

    MUST(argc > 3);
    state = strtoull(argv[2], NULL, 10) * 2654435761u + 1;
    for (int i = 0; i < 8; i++)
        (void)must_random(&state, 2);
    keeps = kindness[must_random(&state, sizeof kindness / sizeof *kindness)];
    MUST(nftw(argv[1], add_file, 16, FTW_PHYS) == 0);
    for (int i = 3; i < argc; i++)
        undo_log(argv[i]);
    for (size_t i = 0; i < file_count; i++) {
        shorten(&files[i]);
        free(files[i].fixed);
        close(files[i].fd);
    }
    printf("%lu %lu\n", undone, open_to_it);
    return 0;
}
