import torch,time
def med(f,n=20):
    for _ in range(3): f()
    ts=[]
    for _ in range(n):
        t=time.perf_counter();f();ts.append(time.perf_counter()-t)
    ts.sort();return ts[n//2]*1e3
for thr in (1,2):
    torch.set_num_threads(thr)
    x=torch.randn(8000,128);w=torch.randn(1024,128);b=torch.randn(1024);o=torch.empty(8000,1024);g=torch.randn(8000,1024)
    print(thr,"addmm",med(lambda:torch.addmm(b,x,w.T)),"addmm out",med(lambda:torch.addmm(b,x,w.T,out=o)),"mm out",med(lambda:torch.mm(x,w.T,out=o)), "linear", med(lambda:torch.nn.functional.linear(x,w,b)))
    xs=x.view(16,500,128)
    oo=torch.empty(500,1024)
    print("mm chunked into same 500x1024", med(lambda:[torch.mm(c,w.T,out=oo) for c in xs]), "addmm", med(lambda:[torch.addmm(b,c,w.T,out=oo) for c in xs]))
    print("gx mm", med(lambda: g@w), "gw", med(lambda: g.T@x), "bias", med(lambda: g.sum(0)))
