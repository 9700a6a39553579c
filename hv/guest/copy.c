/* SPDX-License-Identifier: MIT */
/* Copies between us and the current vCPU's address space: bounds here, the faults in x86/uaccess.
 */
#include "guest/guest.h"

#include "x86/uaccess.h"

int guest_read(void *to, struct guest_ptr from, size_t len_bytes)
{
    if (unlikely(!guest_range_ok(from, len_bytes))) {
        return -EFAULT;
    }
    return copy_user(to, user_addr(from.va), len_bytes) == 0 ? 0 : -EFAULT;
}

int guest_write(struct guest_ptr to, const void *from, size_t len_bytes)
{
    if (unlikely(!guest_range_ok(to, len_bytes))) {
        return -EFAULT;
    }
    return copy_user(user_addr(to.va), from, len_bytes) == 0 ? 0 : -EFAULT;
}

int clear_guest(struct guest_ptr to, size_t len_bytes)
{
    static const uint8_t zeros[256];

    while (len_bytes > 0) {
        size_t n = min(len_bytes, sizeof(zeros));

        if (copy_to_guest(to, zeros, n) != 0) {
            return -EFAULT;
        }
        to = guest_ptr_add(to, n);
        len_bytes -= n;
    }
    return 0;
}
