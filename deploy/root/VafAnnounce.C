// Tells the controller that a PROOF session with so many workers is about to be opened, and waits for the first of them,
// so many seconds at most. Returns whether some are ready; without PROOF in it, any ROOT can load it.

#include "TError.h"
#include "TString.h"
#include "TSystem.h"

Bool_t VafAnnounce(Int_t workers, Int_t waitSeconds = 30)
{
   TString script = gSystem->Getenv("VAF_SESSION");
   if (script.IsNull())
      script = gSystem->Which(gSystem->GetDirName(__FILE__), "vaf-session.sh", kExecutePermission);
   if (script.IsNull()) {
      Warning("VafAnnounce", "there is no vaf-session.sh beside this macro: set VAF_SESSION to where it is");
      return kFALSE;
   }
   // Single quotes keep a path with spaces together; the numbers are numbers.
   return gSystem->Exec(TString::Format("'%s' %d %d", script.Data(), workers, waitSeconds)) == 0;
}
