import sys; sys.argv=["x","band_gradient" if len(sys.argv)>1 and sys.argv[1]=="g" else "band_forward","1","1"]
sys.path.insert(0,"/tmp/fb/wt/wide")
import torch; torch.set_num_threads(1)
from benchmarks.cases import recurrent
from benchmarks.peers import ours_recurrent
case={c.name:c for c in recurrent.cases}[sys.argv[1]]
call=getattr(ours_recurrent,sys.argv[1])(case.make(False))
for _ in range(3): call()
for _ in range(40): call()
