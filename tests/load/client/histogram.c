/* Times by classes: 64 for each doubling, so that a percentile is told within 2 % in little memory. */
#include "load.h"

static int class_of(uint64_t microseconds) {
    int shift = 0;
    while (microseconds >= 128) {
        microseconds >>= 1;
        shift++;
    }
    int class = shift * 64 + (int)microseconds;
    return class < CLASSES ? class : CLASSES - 1;
}

static double middle_of(int class) {
    if (class < 128)
        return class;
    int shift = class / 64 - 1;
    return ((double)(class - shift * 64) + 0.5) * (double)(1ULL << shift);
}

void histogram_add(struct histogram *h, uint64_t microseconds) {
    h->count++;
    h->total += microseconds;
    h->classes[class_of(microseconds)]++;
}

double histogram_milliseconds(const struct histogram *h, double part) {
    uint64_t wanted = (uint64_t)(part * (double)h->count), seen = 0;
    for (int class = 0; class < CLASSES; class ++) {
        seen += h->classes[class];
        if (seen > wanted || (seen == h->count && seen))
            return middle_of(class) / 1000.0;
    }
    return 0.0;
}
