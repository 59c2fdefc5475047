// Opens a PROOF session whose workers the controller was told of before, and has begun to wake:
//
//   root [0] .L VafOpen.C
//   root [1] TProof *proof = VafOpen("user@vaf.example.org", 8);
//
// Call it instead of TProof::Open. Announcing is vaf-session.sh's work, which the site installs beside this macro, or
// says in VAF_SESSION where it is. What keeps it from that never keeps the session from being opened.

#include "VafAnnounce.C"

#include "TProof.h"

TProof *VafOpen(const char *master, Int_t workers, const char *options = "", Int_t waitSeconds = 30)
{
   VafAnnounce(workers, waitSeconds);
   return TProof::Open(master, options);
}
