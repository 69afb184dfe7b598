import sys, time, torch, resource
import feedbackward as fb
from torch.nn.functional import linear
thr=int(sys.argv[1]); torch.set_num_threads(thr)
T,B,I,H=500,16,128,1024
x=torch.randn(T,B,I); w=torch.randn(H,I)/12; wh=torch.randn(17,H)/8; b=torch.randn(H)/10
def c1(h,now):
    h=torch.tanh(linear(now,w,b)+fb.band_matmul(h,wh,8,8)+b); return h,h
def c2(h,now):
    h=torch.tanh(linear(now+0*h[:, :I],w,b)+fb.band_matmul(h,wh,8,8)+b); return h,h
init=torch.zeros(B,H)
def med(f,n=15):
    for _ in range(3): f()
    ts=[]
    for _ in range(n):
        f0=resource.getrusage(0).ru_minflt
        t=time.perf_counter();f();ts.append((time.perf_counter()-t,resource.getrusage(0).ru_minflt-f0))
    ts.sort();return round(ts[n//2][0]*1e3,2),round(ts[0][0]*1e3,2), ts[n//2][1]
a=fb.scan(c1,init,x)[1]; b2=fb.scan(c2,init,x)[1]; print((a-b2).abs().max())
for _ in range(2):
    print(thr,"outside",med(lambda:fb.scan(c1,init,x)),"inside",med(lambda:fb.scan(c2,init,x)))
